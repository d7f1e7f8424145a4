//! What the documents promise of a command that dies, of the constants that both programs are built with: the agent's own
//! state machine under a clock of the test's.

use std::time::Duration;

use mayfly_agent::node::{Desired, Effect, Event, Goal, Node, Role, Why};
use mayfly_agent::run::LEAVING_MAX;
use mayfly_coordinator::cloud::local::Patience;
use mayfly_proto::{Attempt, NodeId};
use mayfly_tests::programs;

/// As the README and docs/reliability.md have it.
const PROMISED: Duration = Duration::from_secs(20);
/// For the system to carry out SIGKILL on a tree of processes.
const KILL: Duration = Duration::from_secs(1);

fn desired(goal: Goal) -> Desired {
    Desired {
        attempt: Attempt::FIRST,
        goal,
        master_address: "127.16.0.1:7077".into(),
        commit_nodes: vec![NodeId::master(1)],
        grace: Duration::from_secs(5),
        lease: Patience::COMMAND.lease,
        deadline: Duration::from_secs(3600),
        save_results: true,
        role: Role::Auto,
        workers: Vec::new(),
    }
}

/// A node that was taken in at `taken_in` and lives with a coordinator until the goal is this one; it is answered for the last
/// time at `answered`.
fn living(role: Role, taken_in: Duration, answered: Duration, goal: Option<Goal>) -> Node {
    let mut node = Node::new(role, taken_in + Patience::COMMAND.alone);
    let Some(last) = goal else { return node };
    for goal in [Goal::Form, Goal::Work, Goal::Collect, Goal::Commit] {
        let asked = answered;
        let told = Event::Desired {
            asked,
            desired: desired(goal),
        };
        for event in [
            told,
            Event::Prepared(Attempt::FIRST),
            Event::EngineReady(Attempt::FIRST),
        ] {
            node = node.step(answered, event).0;
        }
        if goal == last {
            break;
        }
    }
    node
}

/// When the node's process is gone, if nobody answers from now on and everything that it may wait for takes its longest.
fn gone_at(mut node: Node, mut now: Duration) -> (Duration, Why) {
    let mut events = vec![Event::Tick];
    loop {
        let Some(event) = events.pop() else {
            now = now.max(node.wakes_at());
            events.push(Event::Tick);
            continue;
        };
        let (next, effects) = node.step(now, event);
        node = next;
        for effect in effects {
            match effect {
                Effect::Stop(attempt, grace) => {
                    now += grace + KILL;
                    events.push(Event::Stopped(attempt));
                }
                // All that is left is counted at the end.
                Effect::Farewell => events.push(Event::Farewell),
                Effect::Exit(why) => return (now + LEAVING_MAX, why),
                Effect::Prepare(_)
                | Effect::StartEngine(..)
                | Effect::StartJob(_)
                | Effect::Decommission(_)
                | Effect::SetAside(_)
                | Effect::Collect(..)
                | Effect::WriteCommit(..) => panic!("{effect:?}, of a node that is leaving"),
            }
        }
    }
}

#[test]
fn nodes_of_a_command_that_dies_are_gone_within_the_promised_time_whatever_they_do() {
    let goals = [
        None,
        Some(Goal::Form),
        Some(Goal::Work),
        Some(Goal::Collect),
        Some(Goal::Commit),
    ];
    for role in [Role::Master, Role::Worker] {
        for goal in goals {
            // The command dies in the moment in which it has answered, or taken in.
            let (taken_in, died) = match goal {
                None => (Duration::from_secs(3), Duration::from_secs(3)),
                Some(_) => (Duration::from_secs(3), Duration::from_secs(40)),
            };
            let (gone, why) = gone_at(living(role, taken_in, died, goal), died);
            assert_eq!(why, Why::LeaseExpired, "{role:?} at {goal:?}");
            let took = gone - died;
            assert!(took <= PROMISED, "{role:?} at {goal:?}: {took:?}");
        }
    }
    // One that nobody takes in any more has nothing to end.
    assert!(Patience::COMMAND.alone + LEAVING_MAX <= PROMISED);
}

#[test]
fn the_documents_tell_the_same_time() {
    let read = |name: &str| std::fs::read_to_string(programs::repository().join(name)).unwrap();
    let secs = PROMISED.as_secs();
    let readme = format!("its nodes end by themselves within {secs} s");
    assert!(
        read("README.md").contains(&readme),
        "README.md does not say: {readme}"
    );
    let Patience { lease, alone } = Patience::COMMAND;
    let row = format!(
        "| a node of a command, likewise | {secs} s | the node's lease of {} s, or {} s before it was answered, and {} s at \
         most for its last words |",
        lease.as_secs(),
        alone.as_secs(),
        LEAVING_MAX.as_secs_f64()
    );
    let page = read("docs/reliability.md");
    assert!(page.contains(&row), "docs/reliability.md does not say: {row}");
}
