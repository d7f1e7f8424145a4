//! What nodes are told, on the wire.

use std::time::Duration;

use mayfly_proto::engine::Peer;
use mayfly_proto::v1;

use crate::run::{Desired, Goal, Role};

/// On the wire times are milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The whole desired state of a node.
pub(super) fn wire(desired: Desired) -> v1::Desired {
    let goal = match desired.goal {
        Goal::Form => v1::Goal::Form,
        Goal::Work => v1::Goal::Work,
        Goal::Collect => v1::Goal::Collect,
        Goal::Commit => v1::Goal::Commit,
        Goal::Leave => v1::Goal::Leave,
    };
    v1::Desired {
        attempt: desired.attempt.number(),
        goal: goal.into(),
        master_address: desired.master_address,
        commit_nodes: desired.commit_nodes.into_iter().map(String::from).collect(),
        grace_ms: millis(desired.grace),
        lease_ms: millis(desired.lease),
        deadline_ms: millis(desired.deadline),
        sync_interval_ms: millis(desired.sync),
        save_results: desired.save_results,
        role: role_on_wire(desired.role).into(),
        workers: desired.workers.into_iter().map(peer).collect(),
    }
}

fn peer(peer: Peer) -> v1::Peer {
    v1::Peer {
        node_id: peer.name,
        address: peer.address,
        cores: peer.cores,
    }
}

/// A role as the protocol names it.
/// A role as the protocol names it.
pub(crate) fn role_on_wire(role: Role) -> v1::Role {
    match role {
        Role::Master => v1::Role::Master,
        Role::Worker => v1::Role::Worker,
        Role::Auto => v1::Role::Auto,
    }
}
