//! A fleet that does not form, or not wholly: who is missing, and why.

use super::*;

#[test]
fn a_fleet_that_does_not_form_says_why() {
    let mut world = World::new();
    world.apply(Event::Armed(Attempt::FIRST));
    world.settle();
    let ended = world.run.ended.unwrap();
    assert_eq!(ended.outcome, Outcome::InfraFailed);
    assert!(ended.reason.contains("no master enrolled"), "{}", ended.reason);
}

#[test]
fn what_keeps_machines_from_coming_is_told_once_and_is_the_reason_at_the_end() {
    let mut world = World::new();
    world.apply(Event::Armed(Attempt::FIRST));
    for _ in 0..3 {
        world.apply(Event::Troubled("no m7g.large in us-east-1a".into()));
    }
    assert_eq!(world.run.notices, ["no m7g.large in us-east-1a"]);
    world.now += world.run.spec.form;
    world.apply(Event::Tick);
    let ended = world.run.ended.unwrap();
    assert_eq!(ended.outcome, Outcome::InfraFailed);
    assert!(
        ended.reason.contains("no m7g.large in us-east-1a"),
        "{}",
        ended.reason
    );
}

#[test]
fn a_run_begins_with_fewer_and_names_only_those_who_are_missing() {
    let counted = |phase| {
        let mut world = World::of(Spec { workers: 3, ..spec() });
        world.apply(Event::Armed(Attempt::FIRST));
        let (master, workers) = (NodeId::master(1), [1, 2].map(NodeId::worker));
        for id in &workers {
            world.enrol(id);
            world.say(id, phase);
        }
        world.enrol(&master);
        world.say(&master, NodePhase::Ready);
        world.now += world.run.spec.form;
        world.apply(Event::Tick);
        world.run.notices
    };
    // The master's engine has counted both before they said so themselves: the third is the one that lacks.
    assert_eq!(
        [NodePhase::Ready, NodePhase::Preparing].map(counted),
        [["begins with 2 of 3 workers: 1 not enrolled"]; 2]
    );
}
