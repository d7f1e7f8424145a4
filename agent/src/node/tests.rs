//! What a node does at each event, in one script after another.

mod again;
mod alone;
mod election;
mod rules;
mod seeking;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// The master's address as the coordinator names it.
const NAMED: &str = "127.0.0.2:7077";

fn attempt(n: u32) -> Attempt {
    Attempt::try_from(n).unwrap()
}

fn desired(n: u32, goal: Goal) -> Desired {
    Desired {
        attempt: attempt(n),
        goal,
        master_address: NAMED.into(),
        commit_nodes: vec![NodeId::master(1)],
        grace: 5 * SECOND,
        lease: 20 * SECOND,
        deadline: 3600 * SECOND,
        save_results: true,
        role: Role::Auto,
        workers: Vec::new(),
    }
}

fn told(at: u64, desired: Desired) -> Event {
    Event::Desired {
        asked: Duration::from_secs(at),
        desired,
    }
}

/// Runs a script and returns the node and all effects.
fn run(role: Role, events: Vec<Event>) -> (Node, Vec<Effect>) {
    let mut all = Vec::new();
    let mut node = Node::new(role, 20 * SECOND);
    for event in events {
        let (next, effects) = node.step(SECOND, event);
        node = next;
        all.extend(effects);
    }
    (node, all)
}

#[test]
fn a_master_goes_from_forming_to_the_commit() {
    let one = Attempt::FIRST;
    let end = JobEnd {
        exit_code: Some(0),
        ..JobEnd::default()
    };
    let (node, effects) = run(
        Role::Master,
        vec![
            told(1, desired(1, Goal::Form)),
            Event::EngineReady(one),
            Event::Prepared(one),
            told(2, desired(1, Goal::Work)),
            Event::JobExited(one, end.clone()),
            told(3, desired(1, Goal::Collect)),
            Event::Stopped(one),
            Event::Uploaded(one),
            told(4, desired(1, Goal::Commit)),
            Event::Committed(one),
        ],
    );
    assert_eq!(
        effects,
        [
            Effect::Prepare(one),
            Effect::StartEngine(one, "127.0.0.2:7077".into()),
            Effect::StartJob(one),
            Effect::Stop(one, 5 * SECOND),
            Effect::Collect(one, What::All),
            Effect::WriteCommit(one, vec![NodeId::master(1)], end),
        ]
    );
    assert_eq!(node.phase(), mayfly_proto::v1::NodePhase::Committed);
    assert!(!node.job().stopped);
}

#[test]
fn a_worker_waits_for_the_masters_address_and_never_works_or_commits() {
    let one = Attempt::FIRST;
    let unknown = Desired {
        master_address: String::new(),
        ..desired(1, Goal::Form)
    };
    let mut events = vec![told(1, unknown)];
    let (_, effects) = run(Role::Worker, events.clone());
    assert_eq!(effects, [Effect::Prepare(one)]);
    events.extend([
        told(1, desired(1, Goal::Work)),
        Event::Prepared(one),
        Event::EngineReady(one),
        told(1, desired(1, Goal::Commit)),
        Event::Stopped(one),
        Event::Uploaded(one),
    ]);
    let (node, effects) = run(Role::Worker, events);
    assert!(
        !effects
            .iter()
            .any(|e| matches!(e, Effect::StartJob(_) | Effect::WriteCommit(..))),
        "{effects:?}"
    );
    assert_eq!(node.phase(), mayfly_proto::v1::NodePhase::Collected);
}

#[test]
fn a_job_that_was_stopped_says_so_and_hurry_shortens_the_grace() {
    let one = Attempt::FIRST;
    let hurry = Desired {
        grace: SECOND,
        save_results: false,
        ..desired(1, Goal::Collect)
    };
    let (node, effects) = run(
        Role::Master,
        vec![
            told(1, desired(1, Goal::Work)),
            Event::EngineReady(one),
            Event::Prepared(one),
            told(1, desired(1, Goal::Collect)),
            told(1, hurry),
            Event::JobExited(
                one,
                JobEnd {
                    signal: Some(15),
                    ..JobEnd::default()
                },
            ),
            Event::Stopped(one),
        ],
    );
    assert!(node.job().stopped);
    assert!(effects.ends_with(&[
        Effect::Stop(one, 5 * SECOND),
        Effect::Stop(one, SECOND),
        Effect::Collect(one, What::LogsOnly),
    ]));
}

#[test]
fn a_higher_attempt_begins_again_with_nothing_of_the_old_one() {
    let (one, two) = (Attempt::FIRST, attempt(2));
    let failure = Failure {
        blame: Blame::Infra,
        message: "the engine does not start".into(),
    };
    let (node, effects) = run(
        Role::Worker,
        vec![
            told(1, desired(1, Goal::Form)),
            Event::Failed(one, failure),
            told(1, desired(2, Goal::Form)),
            told(1, desired(1, Goal::Leave)),
            Event::Prepared(one),
            Event::Stopped(one),
            Event::Stopped(one),
        ],
    );
    assert_eq!(node.attempt(), Some(two));
    assert_eq!(node.failure(), None);
    assert_eq!(
        effects[2..],
        [
            Effect::Stop(one, 5 * SECOND),
            Effect::SetAside(one),
            Effect::Prepare(two),
            Effect::StartEngine(two, "127.0.0.2:7077".into()),
        ]
    );
}

#[test]
fn without_an_answer_the_node_leaves_when_its_lease_ends_and_not_before() {
    let one = Attempt::FIRST;
    let node = Node::new(Role::Worker, 60 * SECOND);
    let (node, _) = node.step(10 * SECOND, told(9, desired(1, Goal::Form)));
    assert_eq!(
        node.wakes_at(),
        29 * SECOND,
        "the first answer ends the first lease"
    );
    let (node, _) = node.step(11 * SECOND, told(8, desired(1, Goal::Form)));
    assert_eq!(node.wakes_at(), 29 * SECOND, "an older answer that comes late");
    let (node, effects) = node.step(28 * SECOND, Event::Tick);
    assert_eq!(effects, []);
    let (node, effects) = node.step(29 * SECOND, Event::Tick);
    assert_eq!(effects, [Effect::Stop(one, Duration::ZERO)]);
    let (node, effects) = node.step(30 * SECOND, Event::Stopped(one));
    assert_eq!(effects, [Effect::Farewell]);
    let (_, effects) = node.step(31 * SECOND, Event::Farewell);
    assert_eq!(effects, [Effect::Exit(Why::LeaseExpired)]);
}

#[test]
fn the_deadline_holds_whatever_the_lease() {
    let short = Desired {
        deadline: SECOND,
        ..desired(1, Goal::Work)
    };
    let (_, effects) = Node::new(Role::Master, 99 * SECOND).step(2 * SECOND, told(0, short));
    assert_eq!(
        effects,
        [Effect::Farewell],
        "nothing was begun, so there is nothing to stop"
    );
}

#[test]
fn a_signal_ends_a_node_at_once() {
    let (_, effects) = run(Role::Worker, vec![Event::Signal]);
    assert_eq!(effects, [Effect::Farewell]);
    let (_, effects) = run(Role::Worker, vec![told(1, desired(1, Goal::Form)), Event::Signal]);
    assert_eq!(
        effects.last(),
        Some(&Effect::Stop(Attempt::FIRST, Duration::ZERO))
    );
}

#[test]
fn a_worker_that_is_taken_away_hands_over_once_and_goes_on() {
    let one = Attempt::FIRST;
    let (node, effects) = run(
        Role::Worker,
        vec![
            told(1, desired(1, Goal::Work)),
            Event::Interrupted,
            Event::Prepared(one),
            Event::EngineReady(one),
            Event::Tick,
            Event::EngineLost(one),
            Event::EngineReady(one),
        ],
    );
    let engine = Effect::StartEngine(one, NAMED.into());
    assert_eq!(effects, [Effect::Prepare(one), engine, Effect::Decommission(one)]);
    assert_eq!(node.phase(), mayfly_proto::v1::NodePhase::Ready);
}

#[test]
fn a_master_that_is_taken_away_ends_its_job_and_saves_what_there_is() {
    let one = Attempt::FIRST;
    let (node, effects) = run(
        Role::Master,
        vec![
            told(1, desired(1, Goal::Work)),
            Event::Prepared(one),
            Event::EngineReady(one),
            Event::Interrupted,
            Event::JobExited(one, JobEnd::default()),
            Event::Stopped(one),
            Event::Uploaded(one),
        ],
    );
    assert_eq!(
        effects,
        [
            Effect::Prepare(one),
            Effect::StartEngine(one, NAMED.into()),
            Effect::StartJob(one),
            Effect::Stop(one, 5 * SECOND),
            Effect::Collect(one, What::All),
        ]
    );
    assert_eq!(node.phase(), mayfly_proto::v1::NodePhase::Collected);
    assert!(node.job().stopped);
}

#[test]
fn a_node_that_knows_its_deadline_keeps_it_without_an_answer() {
    let node = Node::new(Role::Worker, 900 * SECOND).until(Some(10 * SECOND));
    let (node, effects) = node.step(9 * SECOND, Event::Tick);
    assert_eq!((effects.len(), node.wakes_at()), (0, 10 * SECOND));
    let (node, effects) = node.step(10 * SECOND, Event::Tick);
    assert_eq!(effects, [Effect::Farewell]);
    let (_, effects) = node.step(10 * SECOND, Event::Farewell);
    assert_eq!(effects, [Effect::Exit(Why::DeadlinePassed)]);
}
