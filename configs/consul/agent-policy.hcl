# For Consul's own agent on the machine of a team's server: it keeps its own record, and looks at what is registered with it.

node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
