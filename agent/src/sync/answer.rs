//! What the coordinator answers, checked.

use std::net::IpAddr;
use std::time::Duration;

use mayfly_proto::engine::Peer;
use mayfly_proto::v1;
use mayfly_proto::{Attempt, NodeId};
use tonic::Status;

use crate::node::{Desired, Goal, Role};

/// A wire value into a checked one.
///
/// # Errors
/// It makes no sense; nothing of it is taken.
pub fn checked(wire: &v1::Desired) -> Result<Desired, Status> {
    let bad = |what: &str| Status::data_loss(format!("the answer's {what} cannot be used"));
    let goal = match wire.goal() {
        v1::Goal::Unspecified => return Err(bad("goal")),
        v1::Goal::Form => Goal::Form,
        v1::Goal::Work => Goal::Work,
        v1::Goal::Collect => Goal::Collect,
        v1::Goal::Commit => Goal::Commit,
        v1::Goal::Leave => Goal::Leave,
    };
    // A coordinator of before knows no others than those that a node enrols as.
    let role = match wire.role() {
        v1::Role::Unspecified | v1::Role::Auto => Role::Auto,
        v1::Role::Master => Role::Master,
        v1::Role::Worker => Role::Worker,
    };
    let workers: Option<Vec<Peer>> = wire.workers.iter().map(peer).collect();
    let nodes: Result<Vec<NodeId>, _> = wire.commit_nodes.iter().map(|node| node.parse()).collect();
    Ok(Desired {
        attempt: Attempt::try_from(wire.attempt).map_err(|_| bad("attempt"))?,
        goal,
        master_address: address(&wire.master_address).ok_or_else(|| bad("master address"))?,
        commit_nodes: nodes.map_err(|_| bad("list of nodes"))?,
        grace: Duration::from_millis(wire.grace_ms),
        lease: Duration::from_millis(wire.lease_ms),
        deadline: Duration::from_millis(wire.deadline_ms),
        save_results: wire.save_results,
        role,
        workers: workers.ok_or_else(|| bad("list of workers"))?,
    })
}

/// A worker, which becomes a line of a file that the engine reads.
fn peer(wire: &v1::Peer) -> Option<Peer> {
    let name: NodeId = wire.node_id.parse().ok()?;
    let address: IpAddr = wire.address.parse().ok()?;
    Some(Peer {
        name: name.to_string(),
        address: address.to_string(),
        cores: wire.cores,
    })
}

/// Empty, or `host:port` of harmless characters: it becomes part of a command line.
fn address(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let (host, port) = text.rsplit_once(':')?;
    let harmless = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    let port: u16 = port.parse().ok()?;
    (port > 0 && !host.is_empty() && !host.starts_with('-') && host.chars().all(harmless))
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_makes_no_sense_is_refused_whole() {
        let good = v1::Desired {
            attempt: 1,
            goal: v1::Goal::Work.into(),
            master_address: "127.0.0.2:7077".into(),
            commit_nodes: vec!["master-1".into()],
            deadline_ms: u64::MAX,
            ..v1::Desired::default()
        };
        assert_eq!(checked(&good).unwrap().goal, Goal::Work);
        for bad in [
            v1::Desired {
                attempt: 0,
                ..good.clone()
            },
            v1::Desired {
                goal: 99,
                ..good.clone()
            },
            v1::Desired {
                goal: 0,
                ..good.clone()
            },
            v1::Desired {
                master_address: "-Xagent:1".into(),
                ..good.clone()
            },
            v1::Desired {
                master_address: "host;rm:7077".into(),
                ..good.clone()
            },
            v1::Desired {
                master_address: "host:0".into(),
                ..good.clone()
            },
            v1::Desired {
                commit_nodes: vec!["../x".into()],
                ..good.clone()
            },
            v1::Desired {
                workers: vec![v1::Peer {
                    node_id: "worker-1".into(),
                    address: "10.0.0.1\nother".into(),
                    cores: 1,
                }],
                ..good
            },
        ] {
            assert!(checked(&bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(desired) = <v1::Desired as prost::Message>::decode(&bytes[..]) {
                let _ = checked(&desired);
            }
        }
    }
}
