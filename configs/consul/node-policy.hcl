# For the nodes of runs: they register themselves, and workers look for their master.
# Nothing else: no keys, no sessions, no other services.

service "mayfly-master" {
  policy = "write"
}

service "mayfly-worker" {
  policy = "write"
}

# What a query for healthy services is filtered by.
node_prefix "" {
  policy = "read"
}
