//! faults.md 45: machines that were told to end and do not.

use super::*;

/// A run whose machines are being given back.
fn releasing() -> World {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.wait(1);
    world.apply(Event::CancelAsked(Cancel::Graceful));
    for id in [master, NodeId::worker(1), NodeId::worker(2)] {
        world.say(&id, NodePhase::Collected);
    }
    assert_eq!(world.run.stage, Stage::Releasing { gone: false });
    world
}

#[test]
fn a_release_that_takes_too_long_is_told_once_and_goes_on() {
    let mut world = releasing();
    world.apply(Event::MachineGone(NodeId::worker(2)));
    let before = world.run.notices.clone();
    world.wait(299);
    assert_eq!((&world.run.notices, world.run.is_overdue()), (&before, false));
    world.wait(600);
    assert!(world.run.is_overdue());
    let told = &world.run.notices[before.len()..];
    assert_eq!(
        told,
        [
            "its machines were told to end 5 minutes ago, and master-1, worker-1 not seen to have ended: they are told again \
          until none is left"
        ]
    );
    // Whoever takes it over tells it too: people may not have heard of it.
    world.restart();
    world.wait(1);
    assert!(world.run.is_overdue());
    world.settle();
    assert_eq!(world.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_release_that_ends_in_time_is_not_told() {
    let mut world = releasing();
    world.wait(200);
    world.apply(Event::FleetGone);
    // The store keeps its receipt waiting: that is no machine's doing.
    world.wait(600);
    assert!(!world.run.is_overdue());
    world.settle();
}
