# For `coordinator serve`: it registers itself, and nothing else.
# Its nodes have a token of their own (node-policy.hcl).

service "mayfly-coordinator" {
  policy = "write"
}
