//! The long-lived network of many runs: a VPC with a public subnet in several zones, a way to S3 that costs nothing, a
//! security group that lets nodes talk to each other and nobody in, the roles of nodes and jobs, and a bucket.
//!
//! Found by the tag `mayfly:network`, made part by part, so that a call that died half-way is simply made again. A network
//! that somebody else made is given by its ids ([`given`]).

mod bucket;
mod create;
mod destroy;
mod find;
mod foreign;
mod given;
mod roles;
mod way_out;

use serde::{Deserialize, Serialize};

pub use bucket::ensure_bucket;
pub use create::{Request, create};
pub use destroy::destroy;
pub use find::{Parts, find};
pub(crate) use find::{profile_role, role};
pub use given::{Given, Id, given};
pub use roles::{Policies, node_role};
pub(crate) use roles::{Role, delete_profile, delete_role, ensure_profile, ensure_role};
pub use way_out::WayOut;

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
    /// Addresses that are free in it.
    pub free: u32,
}

/// A network that fleets can be launched in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
    /// One for each zone, the one with most free addresses first; never empty.
    pub subnets: Vec<Subnet>,
    /// Security group of the nodes.
    pub security_group: String,
    /// Instance profile of the nodes.
    pub profile: String,
    /// ARN of the role in it.
    pub role_arn: String,
    /// ARN of the role that jobs get a session of; without it they have no keys.
    pub job_role: Option<String>,
    /// Whether its subnets have a route to the internet of their own: machines need a public address to use it.
    pub public: bool,
}

/// What a network lacks before a fleet can be launched in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the network {name} has no {}", lacks.join(", no "))]
pub struct Incomplete {
    /// Its name.
    pub name: String,
    /// Words for what is missing.
    pub lacks: Vec<&'static str>,
}

impl Parts {
    /// The network, if nothing is missing.
    ///
    /// # Errors
    /// Names what is.
    pub fn complete(&self) -> Result<Network, Incomplete> {
        let mut lacks = Vec::new();
        let mut need = |part: &Option<String>, what| {
            if part.is_none() {
                lacks.push(what);
            }
            part.clone().unwrap_or_default()
        };
        let vpc = need(&self.vpc, "VPC");
        let security_group = need(&self.security_group, "security group");
        let profile = need(&self.profile, "instance profile of nodes");
        if self.subnets.is_empty() {
            lacks.push("subnet");
        }
        if !lacks.is_empty() {
            let name = self.name.clone();
            return Err(Incomplete { name, lacks });
        }
        let mut subnets = self.subnets.clone();
        subnets.sort_by(|a, b| b.free.cmp(&a.free).then_with(|| a.zone.cmp(&b.zone)));
        Ok(Network {
            name: self.name.clone(),
            vpc,
            subnets,
            security_group,
            profile,
            role_arn: self.role.clone().unwrap_or_default(),
            job_role: self.job_role.clone(),
            public: self.public,
        })
    }
}

/// Name of the things of a network, and of its roles and profiles.
pub(crate) fn thing(name: &str, what: &str) -> String {
    format!("mayfly-{name}-{what}")
}
