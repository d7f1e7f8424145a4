//! The server of a team in a network: one machine in a group of one, which AWS replaces when it ends.
//!
//! Everything has the name `mayfly-NETWORK-control` and the tag `mayfly:control`, and is made part by part, so that a call that
//! died half-way is simply made again. It belongs to no run: it has neither a lease nor a deadline, and `gc` does not see it.

mod create;
mod destroy;
mod door;
mod find;
mod template;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

pub use create::create;
pub use destroy::destroy;
pub use find::{find, stands};

use crate::catalog::Image;
use crate::network::{Network, thing};
use crate::tags;

/// Where people and nodes reach it (TCP).
pub const PORT: u16 = 7070;
/// Names of the policies inside its role.
const POLICIES: [&str; 2] = ["mayfly-launcher", "mayfly-control"];

/// What server is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The network that it serves and lives in.
    pub network: Network,
    /// `s3://bucket/prefix` of the network's runs.
    pub store: String,
    /// Type of its machine.
    pub kind: String,
    /// What it boots from.
    pub image: Image,
    /// Address blocks whose people may connect; `None` leaves them as they are.
    pub from: Option<Vec<String>>,
    /// What the machine is told, as JSON. Whoever is on the machine can read it.
    pub user_data: String,
    /// What it may do.
    pub policies: Policies,
}

/// Policies as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Who may take its role: EC2.
    pub trust: String,
    /// What whoever launches may do.
    pub launcher: String,
    /// What only the server may do.
    pub control: String,
}

/// What there is of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Name of the network.
    pub network: String,
    /// Its group, unless it is being deleted.
    pub group: Option<Group>,
    /// Whether its group is being deleted: it is there until its machine has ended.
    pub going: bool,
    /// `lt-…`.
    pub template: Option<String>,
    /// `sg-…`.
    pub security_group: Option<String>,
    /// Address blocks whose people may connect.
    pub from: Vec<String>,
    /// Its instance profile.
    pub profile: Option<String>,
    /// ARN of its role.
    pub role: Option<String>,
    /// Its machines that are not terminated: one, but for the minutes in which one takes another's place.
    pub machines: Vec<Machine>,
}

/// A group of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many machines it shall have.
    pub desired: u32,
    /// Why its last launch failed, in AWS's words.
    pub trouble: Option<String>,
}

/// The machine of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// `i-…`.
    pub id: String,
    /// `pending`, `running`, `shutting-down`, `stopped`.
    pub state: String,
    /// Its type.
    pub kind: String,
    /// Availability zone.
    pub zone: String,
    /// Where the network reaches it.
    pub address: Option<IpAddr>,
    /// Where the internet does.
    pub public_address: Option<IpAddr>,
    /// When it was launched, by AWS's clock.
    pub launched: Option<Timestamp>,
}

impl Parts {
    /// Of a server that is not there.
    #[must_use]
    pub fn none(network: &str) -> Self {
        Self {
            network: network.to_owned(),
            ..Self::default()
        }
    }

    /// Whether anything of it is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let nothing = Self {
            from: Vec::new(),
            ..self.clone()
        };
        nothing != Self::none(&self.network)
    }
}

/// Name of everything of a network's server.
fn name(network: &str) -> String {
    thing(network, "control")
}

/// The tags of everything of it.
fn tags_of(network: &str, store: &str) -> BTreeMap<String, String> {
    let all = [
        (tags::MANAGED.0, tags::MANAGED.1.to_owned()),
        (tags::NETWORK, network.to_owned()),
        (tags::CONTROL, network.to_owned()),
        (tags::STORE, store.to_owned()),
        ("Name", name(network)),
    ];
    all.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_of_no_run_and_has_no_end() {
        let tags = tags_of("default", "s3://our-bucket/team");
        for of_a_run in [tags::RUN, tags::DEADLINE, tags::ROLE, tags::GROUP] {
            assert!(!tags.contains_key(of_a_run), "{of_a_run}");
        }
        assert_eq!(tags[tags::CONTROL], "default");
        assert_eq!(tags["Name"], "mayfly-default-control");
    }

    #[test]
    fn what_is_left_of_it_is_seen() {
        assert!(!Parts::none("default").is_there());
        let role = Parts {
            role: Some("arn".into()),
            ..Parts::none("default")
        };
        assert!(role.is_there());
    }
}
