# For the nodes of runs: they register themselves, workers look for their master, and nodes that are alike
# (`master.role: auto`) elect it. Nothing else: no other keys, no other services.

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

# The locks of masters. Only for `master.role: auto`.
key_prefix "mayfly/runs/" {
  policy = "write"
}

# The sessions that hold them, named after the Consul agents that nodes ask: narrow it where those have a common prefix.
# Only for `master.role: auto`.
session_prefix "" {
  policy = "write"
}
