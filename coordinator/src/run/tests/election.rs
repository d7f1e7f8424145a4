//! Nodes that are alike: each attempt has one master, whoever claims what, and whoever dies.

use proptest::prelude::*;

use super::chance::{Move, moves};
use super::*;
use crate::run::elect::PATIENCE;

fn alike() -> World {
    World::of(Spec {
        alike: true,
        ..spec()
    })
}

fn nodes() -> [NodeId; 3] {
    [1, 2, 3].map(NodeId::alike)
}

fn role(world: &World, id: &NodeId) -> Role {
    world.run.desired(world.now, id).role
}

fn claim(world: &mut World, id: &NodeId, reported: u32, claimed: u32) {
    let report = Report {
        claims: Attempt::try_from(claimed).ok(),
        ..report(NodePhase::Preparing)
    };
    let reported = Attempt::try_from(reported).unwrap();
    world.apply(Event::Reported(id.clone(), reported, Box::new(report)));
}

/// Three nodes that have said that they prepare.
fn forming() -> (World, [NodeId; 3]) {
    let mut world = alike();
    world.apply(Event::Armed(Attempt::FIRST));
    for id in &nodes() {
        world.enrol(id);
        world.say(id, NodePhase::Preparing);
    }
    (world, nodes())
}

#[test]
fn all_machines_are_alike_and_there_is_one_more_than_workers() {
    let (world, ids) = forming();
    let all = Wanted {
        alike: 3,
        ..Wanted::default()
    };
    assert_eq!(world.run.wanted(), all);
    for id in &ids {
        assert_eq!(role(&world, id), Role::Auto, "decided before anybody has claimed");
    }
}

#[test]
fn the_first_claim_stands_and_all_others_are_workers() {
    let (mut world, [one, two, three]) = forming();
    claim(&mut world, &two, 1, 1);
    claim(&mut world, &one, 1, 1);
    assert_eq!(
        [&one, &two, &three].map(|id| role(&world, id)),
        [Role::Worker, Role::Master, Role::Worker]
    );
    let late = NodeId::alike(4);
    world.enrol(&late);
    assert_eq!(role(&world, &late), Role::Worker);
    // What was decided is in the record.
    world.restart();
    claim(&mut world, &one, 1, 1);
    assert_eq!(role(&world, &two), Role::Master);
    assert_eq!(role(&world, &one), Role::Worker);
}

#[test]
fn a_claim_counts_for_its_own_attempt_only() {
    let (mut world, [one, two, three]) = forming();
    claim(&mut world, &one, 1, 2);
    assert_eq!(role(&world, &one), Role::Auto, "an attempt that has not begun");
    claim(&mut world, &one, 1, 1);
    world.apply(Event::MachineGone(one.clone()));
    world.apply(Event::CommitRead(None));
    assert_eq!(world.run.attempt.number(), 2);
    world.apply(Event::Armed(world.run.attempt));
    claim(&mut world, &two, 1, 1);
    claim(&mut world, &two, 1, 2);
    claim(&mut world, &three, 2, 1);
    assert_eq!(
        [&two, &three].map(|id| role(&world, id)),
        [Role::Auto, Role::Auto]
    );
    claim(&mut world, &three, 2, 2);
    assert_eq!(
        [&two, &three].map(|id| role(&world, id)),
        [Role::Worker, Role::Master]
    );
    // One machine was lost, and one is wanted in its place.
    assert_eq!(world.run.wanted().alike, 3);
    let another = NodeId::alike(4);
    world.enrol(&another);
    assert_eq!(role(&world, &another), Role::Worker);
}

#[test]
fn a_master_that_was_given_up_and_comes_back_is_a_node_like_all_others() {
    let (mut world, [one, two, three]) = forming();
    claim(&mut world, &one, 1, 1);
    world.wait(11);
    for id in [&two, &three] {
        world.say(id, NodePhase::Preparing);
    }
    world.apply(Event::CommitRead(None));
    world.apply(Event::Armed(world.run.attempt));
    claim(&mut world, &two, 2, 2);
    // It still believes in its own attempt.
    claim(&mut world, &one, 1, 1);
    assert_eq!(role(&world, &two), Role::Master);
    let told = world.run.desired(world.now, &one);
    assert_eq!((told.attempt.number(), told.role), (2, Role::Worker));
}

#[test]
fn without_a_claim_the_first_node_is_taken_after_a_while_and_a_notice_says_so() {
    let (mut world, ids) = forming();
    let quiet = |world: &mut World, after: Duration| {
        world.now += after;
        for id in &ids {
            world.say(id, NodePhase::Preparing);
        }
    };
    for _ in 0..PATIENCE.as_secs() / 5 - 1 {
        quiet(&mut world, secs(5));
    }
    quiet(&mut world, secs(4));
    assert_eq!(role(&world, &ids[0]), Role::Auto);
    quiet(&mut world, secs(1));
    assert_eq!(role(&world, &ids[0]), Role::Master);
    assert_eq!(role(&world, &ids[1]), Role::Worker);
    let notice = world.run.notices.last().unwrap();
    assert!(notice.contains("node-1") && notice.contains("Consul"), "{notice}");
    // A claim that comes late changes nothing.
    claim(&mut world, &ids[2], 1, 1);
    assert_eq!(role(&world, &ids[2]), Role::Worker);
}

#[test]
fn a_node_that_failed_is_not_chosen() {
    let (mut world, [one, two, _]) = forming();
    world.say(&one, NodePhase::Failed);
    world.wait(PATIENCE.as_secs());
    // All have been silent for too long by now; one speaks again.
    world.say(&two, NodePhase::Preparing);
    world.apply(Event::Tick);
    assert_eq!(role(&world, &two), Role::Master);
}

#[test]
fn an_elected_master_works_collects_and_commits_like_any_other() {
    let (mut world, [one, two, three]) = forming();
    claim(&mut world, &one, 1, 1);
    world.say(&one, NodePhase::Ready);
    assert_eq!(world.run.phase(), PhaseName::Working);
    world.say(&one, NodePhase::Ended);
    for id in [&two, &three, &one] {
        world.say(id, NodePhase::Collected);
    }
    let goals = [&one, &two, &three].map(|id| world.run.desired(world.now, id).goal);
    assert_eq!(goals, [Goal::Commit, Goal::Collect, Goal::Collect]);
    world.say(&one, NodePhase::Committed);
    assert_eq!(world.outcome(), Some(Outcome::Succeeded));
    world.settle();
}

#[derive(Debug, Clone)]
enum Claimed {
    Claim(usize, u32, u32),
    Other(Move),
}

fn claims() -> impl Strategy<Value = Claimed> {
    prop_oneof![
        1 => (0usize..5, 1u32..4, 0u32..4).prop_map(|(node, n, claimed)| Claimed::Claim(node, n, claimed)),
        3 => moves().prop_map(Claimed::Other),
    ]
}

proptest! {
    #[test]
    fn whoever_claims_what_the_run_ends_well(steps in proptest::collection::vec(claims(), 0..120)) {
        let ids = [1, 2, 3, 4, 5].map(NodeId::alike);
        let mut world = alike();
        for step in steps {
            match step {
                Claimed::Claim(node, n, claimed) => {
                    if n <= world.run.attempt.number() {
                        claim(&mut world, &ids[node], n, claimed);
                    }
                }
                Claimed::Other(step) => world.make(&ids, step),
            }
        }
        world.settle();
    }
}
