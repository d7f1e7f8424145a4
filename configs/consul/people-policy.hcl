# For those who launch: they find the coordinator, and keep job files in Consul.

service "mayfly-coordinator" {
  policy = "read"
}

# What a query for healthy services is filtered by.
node_prefix "" {
  policy = "read"
}

key_prefix "mayfly/jobs/" {
  policy = "write"
}
