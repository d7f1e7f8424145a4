//! No sequence of events reaches what must not be: a closed run with a live node, a success without a commit, an
//! outcome that changes, a run that never ends.

mod chance;
mod election;
mod forming;
mod found;
mod overdue;
mod stall;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use mayfly_proto::{Attempt, NodeId};

use self::world::World;
use super::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn spec() -> Spec {
    Spec {
        workers: 2,
        min_workers: 2,
        alike: false,
        counts_nodes: false,
        names_workers: false,
        deadline: secs(600),
        stall: None,
        form: secs(60),
        retries: 1,
        hold: Duration::ZERO,
        timing: Timing {
            sync: secs(1),
            sync_fast: secs(1),
            silent_after: secs(5),
            lost_after: secs(10),
            lease: secs(10),
            grace: secs(5),
            salvage: secs(60),
            overtime: secs(240),
            without_workers: secs(60),
            nodes_leave: true,
        },
    }
}

fn node(id: &NodeId, now: Duration) -> Node {
    let role = match id.as_str().split_once('-') {
        Some(("master", _)) => Role::Master,
        Some(("worker", _)) => Role::Worker,
        _ => Role::Auto,
    };
    Node {
        id: id.clone(),
        role,
        address: "127.0.0.1".into(),
        cores: 1,
        memory_bytes: 1 << 30,
        private_results: true,
        since: now,
        heard: now,
        gone_at: None,
        lost: false,
        attempt: Attempt::FIRST,
        report: Report::default(),
        results_files: 0,
        took_part: false,
    }
}

fn report(phase: NodePhase) -> Report {
    let job = matches!(phase, NodePhase::Ended | NodePhase::Committed).then(|| JobEnd {
        exit_code: Some(0),
        ..JobEnd::default()
    });
    let failure = (phase == NodePhase::Failed).then(|| Failure {
        kind: FailureKind::Infra,
        message: "disk".into(),
    });
    Report {
        phase,
        job,
        failure,
        alive_workers: 2,
        ..Report::default()
    }
}

#[test]
fn a_good_run_is_committed_before_it_is_released() {
    let mut world = World::new();
    assert_eq!(
        world.run.wanted(),
        Wanted::default(),
        "no machine before its killer"
    );
    let (master, one, two) = world.form();
    assert_eq!(world.run.phase(), PhaseName::Working);
    world.say(&master, NodePhase::Ended);
    assert_eq!(world.run.desired(world.now, &one).goal, Goal::Collect);
    world.say(&one, NodePhase::Collected);
    world.say(&two, NodePhase::Collected);
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Collect);
    world.apply(Event::Reported(master.clone(), Attempt::FIRST, {
        let mut collected = report(NodePhase::Ended);
        collected.phase = NodePhase::Collected;
        Box::new(collected)
    }));
    let desired = world.run.desired(world.now, &master);
    assert_eq!((desired.goal, desired.commit_nodes.len()), (Goal::Commit, 3));
    world.say(&master, NodePhase::Committed);
    assert_eq!(
        (world.run.phase(), world.outcome()),
        (PhaseName::Releasing, Some(Outcome::Succeeded))
    );
    world.settle();
}

#[test]
fn a_lost_master_is_a_new_attempt_and_the_second_loss_the_end() {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.apply(Event::MachineGone(master));
    world.apply(Event::CommitRead(None));
    assert_eq!(
        (world.run.attempt.number(), world.run.phase()),
        (2, PhaseName::Arming)
    );
    world.apply(Event::Armed(world.run.attempt));
    let second = NodeId::master(2);
    world.enrol(&second);
    world.say(&second, NodePhase::Ready);
    world.apply(Event::MachineGone(second));
    world.apply(Event::CommitRead(None));
    assert_eq!(world.outcome(), Some(Outcome::InfraFailed));
    world.settle();
}

#[test]
fn a_master_lost_after_its_commit_is_no_second_attempt() {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.commit = Some(Commit {
        attempt: Attempt::FIRST,
        exit_code: Some(0),
        cause: String::new(),
    });
    world.apply(Event::MachineGone(master));
    world.apply(Event::CommitRead(world.commit.clone()));
    assert_eq!(
        (world.run.attempt, world.outcome()),
        (Attempt::FIRST, Some(Outcome::Succeeded))
    );
    world.settle();
}

#[test]
fn results_that_may_lack_the_part_of_a_lost_worker_are_not_committed() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    let held = Report {
        results_files: 3,
        ..report(NodePhase::Ready)
    };
    world.apply(Event::Reported(one.clone(), Attempt::FIRST, Box::new(held)));
    world.apply(Event::MachineGone(one));
    world.say(&master, NodePhase::Ended);
    world.say(&two, NodePhase::Collected);
    world.say(&master, NodePhase::Collected);
    assert!(
        world.effects.contains(&Effect::ReadCommit),
        "the attempt was not given up"
    );
    world.apply(Event::CommitRead(None));
    assert_eq!(world.run.attempt.number(), 2);
}

#[test]
fn a_worker_that_held_nothing_may_be_lost() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    world.apply(Event::MachineGone(one));
    world.say(&master, NodePhase::Ended);
    world.say(&two, NodePhase::Collected);
    world.say(&master, NodePhase::Collected);
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Commit);
}

#[test]
fn a_worker_that_was_lost_before_the_job_began_held_nothing() {
    let mut world = World::new();
    world.apply(Event::Armed(Attempt::FIRST));
    let early = NodeId::worker(3);
    world.enrol(&early);
    world.say(&early, NodePhase::Preparing);
    world.apply(Event::MachineGone(early));
    let (master, one, two) = world.form();
    world.say(&master, NodePhase::Ended);
    for id in [&one, &two] {
        let held = Report {
            results_files: 3,
            ..report(NodePhase::Collected)
        };
        world.apply(Event::Reported(id.clone(), Attempt::FIRST, Box::new(held)));
    }
    world.say(&master, NodePhase::Collected);
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Commit);
}

#[test]
fn a_worker_that_hangs_is_ended_when_it_would_have_ended_itself() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    for _ in 0..21 {
        assert_eq!(world.run.condemned(world.now), []);
        world.now += secs(1);
        for id in [&master, &two] {
            world.say(id, NodePhase::Ready);
        }
        world.apply(Event::Tick);
    }
    assert_eq!(world.run.condemned(world.now), std::slice::from_ref(&one));
    world.apply(Event::MachineGone(one));
    assert_eq!(world.run.condemned(world.now), []);
}

#[test]
fn a_master_that_is_lost_is_ended_when_its_attempt_has_been_given_up() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    while world.run.giving_up.is_none() {
        world.now += secs(1);
        for id in [&one, &two] {
            world.say(id, NodePhase::Ready);
        }
        world.apply(Event::Tick);
    }
    // It may have committed.
    assert_eq!(world.run.condemned(world.now), []);
    world.apply(Event::CommitRead(None));
    assert_eq!(world.run.attempt.number(), 2);
    assert_eq!(world.run.condemned(world.now), std::slice::from_ref(&master));
    world.settle();
}

#[test]
fn cancelling_saves_first_and_cancelling_twice_saves_logs_only() {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.apply(Event::CancelAsked(Cancel::Graceful));
    let desired = world.run.desired(world.now, &master);
    assert_eq!((desired.goal, desired.save_results), (Goal::Collect, true));
    world.apply(Event::CancelAsked(Cancel::Fast));
    let desired = world.run.desired(world.now, &master);
    assert_eq!((desired.save_results, desired.grace), (false, Duration::ZERO));
    world.settle();
    assert_eq!(world.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_node_of_a_future_attempt_changes_nothing() {
    let mut world = World::new();
    let (master, ..) = world.form();
    let before = world.run.clone();
    let ended = Box::new(report(NodePhase::Ended));
    world.apply(Event::Reported(master, Attempt::FIRST.next(), ended));
    assert_eq!(world.run.phase(), before.phase());
}

#[test]
fn a_coordinator_that_takes_over_finds_the_commit_made_meanwhile() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    world.say(&master, NodePhase::Ended);
    for id in [&one, &two] {
        world.say(id, NodePhase::Collected);
    }
    world.say(&master, NodePhase::Collected);
    world.commit = Some(Commit {
        attempt: Attempt::FIRST,
        exit_code: Some(0),
        cause: String::new(),
    });
    // Nobody was there when the deadline passed.
    world.now += secs(3600);
    world.restart();
    assert_eq!(world.outcome(), Some(Outcome::Succeeded));
    world.settle();
}

#[test]
fn a_job_goes_on_under_the_next_coordinator() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    world.now += secs(60);
    world.restart();
    assert_eq!(world.run.phase(), PhaseName::Working);
    world.apply(Event::Tick);
    for id in [&master, &one, &two] {
        assert_eq!(world.run.desired(world.now, id).goal, Goal::Work);
    }
    world.say(&master, NodePhase::Ended);
    world.restart();
    assert_eq!(
        world.run.phase(),
        PhaseName::Collecting,
        "the end of the job was forgotten"
    );
    assert_eq!(world.run.attempt, Attempt::FIRST);
}

#[test]
fn what_a_lost_worker_may_have_held_is_known_to_the_next_coordinator() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    let late = NodeId::worker(3);
    world.apply(Event::MachineGone(two));
    world.enrol(&late);
    world.say(&late, NodePhase::Ready);
    world.restart();
    // It never speaks again.
    world.apply(Event::MachineGone(late));
    world.say(&master, NodePhase::Ended);
    let held = Report {
        results_files: 3,
        ..report(NodePhase::Collected)
    };
    world.apply(Event::Reported(one, Attempt::FIRST, Box::new(held)));
    world.say(&master, NodePhase::Collected);
    assert!(
        world.effects.contains(&Effect::ReadCommit),
        "results that may be incomplete were about to be committed"
    );
}

fn taken_away(phase: NodePhase) -> Box<Report> {
    Box::new(Report {
        interrupted: Some(secs(120)),
        ..report(phase)
    })
}

#[test]
fn a_worker_that_is_taken_away_is_replaced_while_it_is_still_there() {
    let mut world = World::new();
    let (_, one, _) = world.form();
    world.apply(Event::Reported(
        one.clone(),
        Attempt::FIRST,
        taken_away(NodePhase::Ready),
    ));
    assert_eq!(world.run.wanted().workers, 3);
    assert_eq!(
        (world.run.phase(), world.run.attempt),
        (PhaseName::Working, Attempt::FIRST)
    );
    assert!(
        world.run.notices.iter().any(|notice| notice.contains("in 120 s")),
        "{:?}",
        world.run.notices
    );
    let third = NodeId::worker(3);
    world.enrol(&third);
    assert_eq!(world.run.wanted().workers, 3);
    world.apply(Event::MachineGone(one));
    assert_eq!(world.run.wanted().workers, 2);
    world.settle();
}

#[test]
fn a_master_that_is_taken_away_saves_what_there_is_before_the_next_attempt() {
    let mut world = World::new();
    let (master, ..) = world.form();
    let mut stopped = taken_away(NodePhase::Collecting);
    stopped.job = Some(JobEnd {
        signal: Some(15),
        stopped: true,
        ..JobEnd::default()
    });
    for phase in [NodePhase::Working, NodePhase::Collecting] {
        stopped.phase = phase;
        world.apply(Event::Reported(master.clone(), Attempt::FIRST, stopped.clone()));
        assert_eq!(
            (world.run.phase(), world.outcome()),
            (PhaseName::Working, None),
            "{phase:?}"
        );
    }
    stopped.phase = NodePhase::Collected;
    world.apply(Event::Reported(master.clone(), Attempt::FIRST, stopped));
    world.apply(Event::CommitRead(None));
    assert_eq!(
        (world.run.attempt.number(), world.run.phase()),
        (2, PhaseName::Arming)
    );
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Leave);
    assert!(
        world
            .run
            .notices
            .iter()
            .any(|notice| notice.contains("was taken away"))
    );
    world.settle();
}

#[test]
fn a_deadline_that_is_moved_in_time_is_the_one_that_counts() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    let (old, new) = (world.run.spec.deadline, secs(900));
    world.apply(Event::Extended(new));
    for (now, phase) in [(old, PhaseName::Working), (new, PhaseName::Collecting)] {
        world.now = now;
        // The master first: it must not count as lost for the time that was skipped.
        for id in [&master, &one, &two] {
            world.say(id, NodePhase::Working);
        }
        assert_eq!(world.run.phase(), phase, "at {now:?}");
    }
    assert_eq!(world.outcome(), Some(Outcome::TimedOut));
    world.apply(Event::Extended(new + secs(600)));
    assert_eq!(world.run.spec.deadline, new, "moved after it had passed");
}

#[test]
fn a_master_that_comes_before_the_loss_of_the_first_is_seen_runs_no_job_of_its_attempt() {
    // The group is quicker than we are. Names tell nothing: a cloud's own ids come in any order.
    for (first, second) in [(1, 2), (2, 1)] {
        let (first, second) = (NodeId::master(first), NodeId::master(second));
        let mut world = World::new();
        world.apply(Event::Armed(Attempt::FIRST));
        for id in [&first, &NodeId::worker(1), &NodeId::worker(2)] {
            world.enrol(id);
            world.say(id, NodePhase::Ready);
        }
        assert_eq!(world.run.phase(), PhaseName::Working);
        world.now += secs(1);
        world.enrol(&second);
        world.say(&second, NodePhase::Ready);
        let goal = |world: &World, id: &NodeId| world.run.desired(world.now, id).goal;
        assert_eq!(
            (goal(&world, &first), goal(&world, &second)),
            (Goal::Work, Goal::Form)
        );
        world.apply(Event::MachineGone(first.clone()));
        assert_eq!(
            goal(&world, &second),
            Goal::Form,
            "while the store is asked for a commit"
        );
        world.apply(Event::CommitRead(None));
        world.apply(Event::Armed(Attempt::FIRST.next()));
        for id in [&second, &NodeId::worker(1), &NodeId::worker(2)] {
            world.say(id, NodePhase::Ready);
        }
        assert_eq!(
            (world.run.attempt.number(), goal(&world, &second)),
            (2, Goal::Work)
        );
        world.settle();
    }
}

#[test]
fn a_job_that_ended_before_its_master_is_taken_away_is_still_committed() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    world.apply(Event::Reported(
        master.clone(),
        Attempt::FIRST,
        taken_away(NodePhase::Ended),
    ));
    world.say(&one, NodePhase::Collected);
    world.say(&two, NodePhase::Collected);
    let mut collected = taken_away(NodePhase::Ended);
    collected.phase = NodePhase::Collected;
    world.apply(Event::Reported(master.clone(), Attempt::FIRST, collected));
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Commit);
    world.say(&master, NodePhase::Committed);
    assert_eq!(world.outcome(), Some(Outcome::Succeeded));
    world.settle();
}

#[test]
fn a_notice_that_is_not_known_is_none() {
    let with = |kind: i32| {
        let wire = mayfly_proto::v1::NodeReport {
            phase: mayfly_proto::v1::NodePhase::Ready.into(),
            notice: Some(mayfly_proto::v1::Notice {
                kind,
                remaining_ms: 90_000,
            }),
            ..mayfly_proto::v1::NodeReport::default()
        };
        Report::try_from(wire).unwrap().interrupted
    };
    assert_eq!([0, 1, 2, 99].map(with), [None, None, Some(secs(90)), None]);
}
