//! Locks of a real Consul.

use std::time::Duration;

use mayfly_proto::Attempt;
use mayfly_sim::lock::Locks;
use mayfly_tests::{Chance, Consul, wait};

use crate::consul::client::open;

const CALLS: usize = 60;
const NODES: usize = 3;
/// Longer than the delay after which a freed lock can be taken.
const DELAY: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_model_of_locks_answers_as_a_real_consul() {
    let server = tokio::task::spawn_blocking(Consul::dev).await.unwrap();
    let consul = open(&server);
    let (mut chance, mut model) = (Chance::new(3), Locks::default());
    let mut sessions = Vec::new();
    for node in 0..NODES {
        sessions.push(consul.create_session(&format!("node-{node}")).await.unwrap());
    }
    for call in 0..CALLS {
        let node = chance.below(NODES);
        let attempt = Attempt::try_from(u32::try_from(chance.below(3) + 1).unwrap()).unwrap();
        if chance.below(8) > 0 {
            let key = format!("runs/conform/master/{attempt}");
            let real = consul.acquire(&key, vec![], &sessions[node]).await.unwrap();
            let told = model.take(attempt, node);
            assert_eq!(
                told, real,
                "call {call}: node {node} takes the lock of attempt {attempt}"
            );
            continue;
        }
        consul.destroy_session(&sessions[node]).await.unwrap();
        model.end(|session| session == node);
        sessions[node] = consul.create_session(&format!("node-{node}")).await.unwrap();
        freed(&server).await;
    }
}

/// Until Consul lets go of what it has just freed: a lock that nobody in the model has can be taken and given back.
async fn freed(server: &Consul) {
    let consul = open(server);
    let end = tokio::time::Instant::now() + DELAY;
    for attempt in 1..=3 {
        let key = format!("runs/conform/master/{attempt}");
        loop {
            let there = consul.get(&key).await.unwrap();
            if there.is_some() {
                break;
            }
            let probe = consul.create_session("probe").await.unwrap();
            let taken = consul.acquire(&key, vec![], &probe).await.unwrap();
            if taken {
                // Given back without its session's end, which would begin the delay anew.
                consul.release(&key, vec![], &probe).await.unwrap();
            }
            consul.destroy_session(&probe).await.unwrap();
            if taken {
                break;
            }
            assert!(tokio::time::Instant::now() < end, "{key} is not freed");
            tokio::task::spawn_blocking(wait::pause).await.unwrap();
        }
    }
}
