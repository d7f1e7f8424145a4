//! Policies for Consul's ACLs, as `configs/consul` has them; they hold for the prefix `mayfly`.

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsulPolicy {
    /// `coordinator serve`.
    Coordinator,
    /// The nodes of runs.
    Node,
    /// Those who launch.
    People,
    /// Consul's own agent on the machine of a team's server.
    Agent,
}

impl ConsulPolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Coordinator, Self::Node, Self::People, Self::Agent];

    /// Its name in Consul.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "mayfly-coordinator",
            Self::Node => "mayfly-node",
            Self::People => "mayfly-people",
            Self::Agent => "mayfly-agent",
        }
    }

    /// Its rules.
    #[must_use]
    pub fn rules(self) -> &'static str {
        match self {
            Self::Coordinator => include_str!("../consul/coordinator-policy.hcl"),
            Self::Node => include_str!("../consul/node-policy.hcl"),
            Self::People => include_str!("../consul/people-policy.hcl"),
            Self::Agent => include_str!("../consul/agent-policy.hcl"),
        }
    }
}
