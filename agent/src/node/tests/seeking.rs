//! A worker that is not told its master looks for it in Consul.

use super::*;

/// A coordinator that has not heard of the master.
fn unnamed(n: u32) -> Desired {
    Desired {
        master_address: String::new(),
        ..desired(n, Goal::Form)
    }
}

fn found(n: u32, address: &str) -> Event {
    Event::Found(attempt(n), address.into())
}

/// The addresses that the engine of a worker was started with.
fn engines(events: Vec<Event>) -> (Node, Vec<String>) {
    let (node, effects) = run(Role::Worker, events);
    let addresses = effects.into_iter().filter_map(|effect| match effect {
        Effect::StartEngine(_, address) => Some(address),
        _ => None,
    });
    (node, addresses.collect())
}

#[test]
fn a_worker_that_is_not_told_its_master_takes_the_one_that_consul_names() {
    let (node, none) = engines(vec![told(1, unnamed(1))]);
    assert_eq!((node.seeking(), none.len()), (Some(Attempt::FIRST), 0));
    let (node, started) = engines(vec![
        told(1, unnamed(1)),
        found(1, "127.0.0.3:7077"),
        found(1, "127.0.0.3:7077"),
        Event::EngineReady(Attempt::FIRST),
        // It has changed.
        found(1, "127.0.0.4:7077"),
    ]);
    assert_eq!(started, ["127.0.0.3:7077", "127.0.0.4:7077"]);
    assert_eq!(
        node.seeking(),
        Some(Attempt::FIRST),
        "it looks on until it is told"
    );
}

#[test]
fn the_coordinators_word_wins_over_consuls() {
    let (node, started) = engines(vec![
        told(1, unnamed(1)),
        found(1, "127.0.0.3:7077"),
        Event::EngineReady(Attempt::FIRST),
        told(2, desired(1, Goal::Form)),
        found(1, "127.0.0.4:7077"),
        // A coordinator that was started anew has not heard of it yet: what is known stays known.
        told(3, unnamed(1)),
        found(1, "127.0.0.3:7077"),
    ]);
    assert_eq!(started, ["127.0.0.3:7077", NAMED]);
    assert_eq!(node.seeking(), None);
}

#[test]
fn the_master_of_another_attempt_is_not_taken() {
    let (node, started) = engines(vec![
        found(2, "127.0.0.3:7077"),
        told(1, unnamed(1)),
        found(2, "127.0.0.3:7077"),
    ]);
    assert_eq!((started.len(), node.seeking()), (0, Some(Attempt::FIRST)));
    let (_, started) = engines(vec![
        told(1, desired(1, Goal::Form)),
        told(2, unnamed(2)),
        Event::Stopped(Attempt::FIRST),
        found(1, "127.0.0.3:7077"),
    ]);
    assert_eq!(started, [NAMED], "attempt 2 has no master yet");
    let (node, started) = run(
        Role::Master,
        vec![told(1, unnamed(1)), found(1, "127.0.0.3:7077")],
    );
    assert_eq!(node.seeking(), None, "a master looks for none");
    assert!(started.contains(&Effect::StartEngine(Attempt::FIRST, String::new())));
}
