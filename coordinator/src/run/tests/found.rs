//! What the simulation found, each as small as it gets.

use super::*;

#[test]
fn a_job_without_workers_is_not_given_up_for_want_of_them() {
    let mut world = World::of(Spec {
        workers: 0,
        min_workers: 0,
        ..spec()
    });
    world.apply(Event::Armed(Attempt::FIRST));
    let master = NodeId::master(1);
    world.enrol(&master);
    world.say(&master, NodePhase::Ready);
    for _ in 0..100 {
        world.wait(1);
        world.say(&master, NodePhase::Working);
    }
    assert_eq!(
        (world.run.phase(), world.run.attempt),
        (PhaseName::Working, Attempt::FIRST)
    );
}

#[test]
fn workers_that_say_they_are_ready_count_where_the_engine_does_not() {
    let mut world = World::of(Spec {
        counts_nodes: true,
        names_workers: true,
        ..spec()
    });
    world.apply(Event::Armed(Attempt::FIRST));
    let (master, first, second) = (NodeId::master(1), NodeId::worker(1), NodeId::worker(2));
    for node in [&master, &first, &second] {
        world.enrol(node);
    }
    world.say(&master, NodePhase::Ready);
    world.say(&first, NodePhase::Ready);
    world.say(&second, NodePhase::Preparing);
    world.wait(1);
    assert_eq!(world.run.phase(), PhaseName::Forming);
    world.say(&second, NodePhase::Ready);
    world.wait(1);
    assert_eq!(world.run.phase(), PhaseName::Working);
    // Who they are is told once: until its job runs.
    let told = |world: &World| world.run.desired(world.now, &master).workers.len();
    assert_eq!(told(&world), 2);
    world.say(&master, NodePhase::Working);
    assert_eq!(told(&world), 0);
}

#[test]
fn another_master_never_takes_the_place_of_the_one_whose_job_began() {
    let mut world = World::new();
    let (master, ..) = world.form();
    let second = NodeId::master(2);
    world.wait(1);
    // It is there before anybody has seen that the first one is gone.
    world.enrol(&second);
    assert_eq!(world.run.desired(world.now, &second).goal, Goal::Form);
    assert_eq!(world.run.desired(world.now, &master).goal, Goal::Work);
    world.apply(Event::MachineGone(master));
    assert!(
        world.effects.contains(&Effect::ReadCommit),
        "the attempt is given up"
    );
    assert_eq!(
        world.run.desired(world.now, &second).goal,
        Goal::Form,
        "while the store is asked"
    );
    world.apply(Event::CommitRead(None));
    assert_eq!(world.run.attempt.number(), 2);
}

#[test]
fn a_master_that_came_in_place_of_a_lost_one_commits_nothing() {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.say(&master, NodePhase::Ended);
    world.restart();
    let second = NodeId::master(2);
    world.enrol(&second);
    world.apply(Event::MachineGone(master));
    world.say(&second, NodePhase::Collected);
    assert_ne!(world.run.desired(world.now, &second).goal, Goal::Commit);
    assert!(
        world.effects.contains(&Effect::ReadCommit),
        "the attempt is given up"
    );
}

#[test]
fn whoever_stood_still_does_not_take_that_for_the_silence_of_others() {
    let mut world = World::new();
    let (master, ..) = world.form();
    world.now += secs(300);
    world.apply(Event::Tick);
    assert_eq!((world.run.present().count(), world.run.notices.len()), (3, 0));
    // From now on they have as long as ever.
    world.wait(10);
    assert!(world.run.master().is_some_and(|node| node.id == master));
    world.wait(1);
    assert!(
        world.run.master().is_none(),
        "silence while somebody listens is silence"
    );
}

#[test]
fn a_worker_that_only_we_cannot_hear_may_have_written_a_part() {
    let mut world = World::new();
    world.apply(Event::Armed(Attempt::FIRST));
    let (master, cut) = (NodeId::master(1), NodeId::worker(3));
    world.enrol(&cut);
    world.say(&cut, NodePhase::Ready);
    for _ in 0..12 {
        world.wait(1);
        world.apply(Event::Tick);
    }
    let ids = world.form();
    assert_eq!((world.run.phase(), &ids.0), (PhaseName::Working, &master));
    let wrote = Report {
        success_markers: 1,
        ..report(NodePhase::Ended)
    };
    world.apply(Event::Reported(
        master.clone(),
        Attempt::FIRST,
        Box::new(wrote.clone()),
    ));
    for id in [&ids.1, &ids.2] {
        world.say(id, NodePhase::Collected);
    }
    let collected = Report {
        phase: NodePhase::Collected,
        ..wrote
    };
    world.apply(Event::Reported(
        master.clone(),
        Attempt::FIRST,
        Box::new(collected),
    ));
    assert_ne!(world.run.desired(world.now, &master).goal, Goal::Commit);
}

#[test]
fn a_held_run_whose_budget_is_used_up_is_released() {
    let mut world = World::of(Spec {
        hold: secs(100),
        ..spec()
    });
    let (master, ..) = world.form();
    let failed = Report {
        failure: Some(Failure {
            kind: FailureKind::Job,
            message: "no such file".into(),
        }),
        ..report(NodePhase::Failed)
    };
    world.apply(Event::Reported(master, Attempt::FIRST, Box::new(failed)));
    for id in [NodeId::worker(1), NodeId::worker(2)] {
        world.say(&id, NodePhase::Collected);
    }
    assert!(
        matches!(world.run.stage, Stage::Held { .. }),
        "{:?}",
        world.run.stage
    );
    world.apply(Event::OverBudget("$1 is used up".into()));
    assert_eq!(world.run.stage, Stage::Releasing { gone: false });
    assert_eq!(
        world.outcome(),
        Some(Outcome::JobFailed),
        "what happened first stands"
    );
}

#[test]
fn a_job_that_somebody_else_has_ended_is_not_the_jobs_failure() {
    let mut world = World::new();
    let (master, ..) = world.form();
    let stopped = Report {
        job: Some(JobEnd {
            signal: Some(15),
            stopped: true,
            ..JobEnd::default()
        }),
        ..report(NodePhase::Collected)
    };
    world.apply(Event::Reported(master, Attempt::FIRST, Box::new(stopped)));
    world.apply(Event::CommitRead(None));
    assert_eq!((world.outcome(), world.run.attempt.number()), (None, 2));
}

#[test]
fn a_job_that_began_before_anybody_could_record_it_goes_on() {
    let mut world = World::new();
    world.apply(Event::Armed(Attempt::FIRST));
    let master = NodeId::master(1);
    world.restart();
    // It shows itself to the next coordinator, which knows nothing of it.
    world.enrol(&master);
    world.say(&master, NodePhase::Working);
    assert_eq!(
        (world.run.phase(), world.run.attempt),
        (PhaseName::Working, Attempt::FIRST)
    );
}

#[test]
fn the_silence_of_a_node_is_told_before_it_is_given_up_and_its_return_too() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    let told = |world: &World, text: &str| world.run.notices.iter().any(|notice| notice.contains(text));
    for _ in 0..7 {
        world.wait(1);
        world.say(&master, NodePhase::Working);
        world.say(&two, NodePhase::Ready);
    }
    assert!(
        told(&world, "worker-1 is silent for 6 s; it is given up after 10 s"),
        "{:?}",
        world.run.notices
    );
    assert!(world.run.nodes[&one].is_present());
    world.say(&one, NodePhase::Ready);
    assert!(told(&world, "worker-1 is heard again"));
    let before = world.run.notices.len();
    world.say(&one, NodePhase::Ready);
    assert_eq!(world.run.notices.len(), before, "told once");
}

#[test]
fn a_job_begins_once_the_record_says_so() {
    let mut run = Run::new(spec());
    let mut effects = Vec::new();
    let mut apply = |run: Run, event| {
        let (run, more) = run.step(secs(1), event);
        effects.extend(more);
        run
    };
    run = apply(run, Event::Recorded);
    run = apply(run, Event::Armed(Attempt::FIRST));
    let ids = [NodeId::master(1), NodeId::worker(1), NodeId::worker(2)];
    for id in &ids {
        run = apply(run, Event::Enrolled(node(id, secs(1))));
        run = apply(
            run,
            Event::Reported(id.clone(), Attempt::FIRST, Box::new(report(NodePhase::Ready))),
        );
    }
    assert_eq!(run.phase(), PhaseName::Working);
    assert_eq!(run.desired(secs(1), &ids[0]).goal, Goal::Form);
    run = apply(run, Event::Begun(Attempt::FIRST));
    assert_eq!(run.desired(secs(1), &ids[0]).goal, Goal::Work);
    assert!(effects.contains(&Effect::Begin(Attempt::FIRST)));
}

#[test]
fn a_worker_that_is_first_heard_of_when_results_are_collected_had_its_part() {
    let mut world = World::new();
    let (master, _, _) = world.form();
    let late = NodeId::worker(3);
    world.say(&master, NodePhase::Ended);
    world.enrol(&late);
    let mut collected = report(NodePhase::Collected);
    collected.results_files = 2;
    world.apply(Event::Reported(late.clone(), Attempt::FIRST, Box::new(collected)));
    assert!(world.run.nodes[&late].took_part);
}

#[test]
fn a_run_that_is_taken_over_after_its_end_wants_no_machine() {
    let mut world = World::new();
    let (master, _, _) = world.form();
    world.say(&master, NodePhase::Ended);
    world.now = spec().deadline + spec().timing.overtime;
    world.restart();
    assert_eq!(world.run.wanted(), Wanted::default());
    assert_eq!(world.outcome(), Some(Outcome::TimedOut));
}

#[test]
fn a_commit_that_was_written_as_the_run_was_given_up_is_its_outcome() {
    let mut world = World::new();
    let (master, _, _) = world.form();
    world.say(&master, NodePhase::Ended);
    world.now = spec().deadline + spec().timing.overtime;
    world.apply(Event::Tick);
    assert_eq!(world.outcome(), Some(Outcome::TimedOut));
    world.commit = Some(Commit {
        attempt: Attempt::FIRST,
        exit_code: Some(0),
        cause: String::new(),
    });
    world.settle();
    assert_eq!(
        (world.run.stage.clone(), world.outcome()),
        (Stage::Closed, Some(Outcome::Succeeded))
    );
}

/// A run whose job failed, held for a minute.
fn held() -> World {
    let mut world = World::of(Spec {
        hold: secs(60),
        ..spec()
    });
    let (master, one, two) = world.form();
    let mut failed = report(NodePhase::Failed);
    failed.failure = Some(Failure {
        kind: FailureKind::Job,
        message: "no such file".into(),
    });
    world.apply(Event::Reported(master, Attempt::FIRST, Box::new(failed)));
    for worker in [&one, &two] {
        world.say(worker, NodePhase::Collected);
    }
    assert!(
        matches!(world.run.stage, Stage::Held { .. }),
        "{:?}",
        world.run.stage
    );
    world
}

#[test]
fn a_run_that_is_held_is_held_as_long_whoever_holds_it() {
    let mut world = held();
    for wait in [30, 300] {
        let until = world.run.held_until().unwrap();
        world.now += secs(wait);
        world.restart();
        assert_eq!(world.run.stage, Stage::Held { until });
        // Longer than it was to be at first.
        world.apply(Event::Extended(world.now + secs(500)));
    }
    world.now += secs(501);
    world.restart();
    assert_eq!(world.run.phase(), PhaseName::Releasing);
}

#[test]
fn a_run_that_is_held_for_a_look_is_held_as_long_as_somebody_asks() {
    let mut world = held();
    let until = world.now + secs(600);
    world.apply(Event::Extended(until));
    assert_eq!(world.run.stage, Stage::Held { until });
    assert_eq!(world.run.spec.deadline, until);
    world.apply(Event::CancelAsked(Cancel::Graceful));
    assert_eq!(world.run.phase(), PhaseName::Releasing);
}

#[test]
fn what_is_told_of_an_attempt_that_is_over_changes_nothing() {
    let mut world = World::new();
    let (master, one, two) = world.form();
    world.apply(Event::MachineGone(master));
    world.apply(Event::CommitRead(None));
    world.apply(Event::Armed(world.run.attempt));
    let second = NodeId::master(2);
    world.enrol(&second);
    for id in [&second, &one, &two] {
        world.say(id, NodePhase::Ready);
    }
    world.say(&second, NodePhase::Working);
    let before = (world.run.phase(), world.run.attempt, world.outcome());
    assert_eq!((before.0, before.1.number()), (PhaseName::Working, 2));
    for id in [&second, &one, &two] {
        for phase in [
            NodePhase::Ended,
            NodePhase::Failed,
            NodePhase::Collected,
            NodePhase::Committed,
        ] {
            world.apply(Event::Reported(
                id.clone(),
                Attempt::FIRST,
                Box::new(report(phase)),
            ));
            let told = world.run.nodes[id].report.phase;
            assert_ne!(told, phase, "{id} is believed to be {phase:?}");
        }
    }
    assert_eq!((world.run.phase(), world.run.attempt, world.outcome()), before);
}
