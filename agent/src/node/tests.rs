mod again;
mod alone;

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

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

/// What the coordinator answers before anything is decided.
fn undecided(n: u32) -> Desired {
    Desired {
        master_address: String::new(),
        ..desired(n, Goal::Form)
    }
}

#[test]
fn a_node_that_is_like_all_others_claims_the_lock_that_it_has_and_is_what_it_is_told() {
    let one = Attempt::FIRST;
    let mut events = vec![told(1, undecided(1)), Event::Prepared(one)];
    let (node, effects) = run(Role::Auto, events.clone());
    assert_eq!(
        effects,
        [Effect::Prepare(one)],
        "an engine before the role is known"
    );
    assert_eq!((node.standing_for(), node.claims()), (Some(one), None));
    assert_eq!(node.seeking(), None);

    events.push(Event::Locked(one));
    let (node, effects) = run(Role::Auto, events.clone());
    assert_eq!((effects.len(), node.claims()), (1, Some(one)));

    let as_role = |role| Desired { role, ..undecided(1) };
    let mut master = events.clone();
    master.extend([told(2, as_role(Role::Master)), told(3, undecided(1))]);
    let (node, effects) = run(Role::Auto, master);
    assert_eq!(effects[1..], [Effect::StartEngine(one, String::new())]);
    assert_eq!(
        (node.role(), node.claims()),
        (Role::Master, Some(one)),
        "a coordinator that was started anew took the role away"
    );

    events.push(told(2, as_role(Role::Worker)));
    let (node, _) = run(Role::Auto, events);
    assert_eq!((node.standing_for(), node.claims()), (None, None));
    assert_eq!(node.seeking(), Some(one));
}

#[test]
fn each_attempt_decides_anew_and_an_older_lock_is_no_claim() {
    let (one, two) = (attempt(1), attempt(2));
    let worker = Desired {
        role: Role::Worker,
        ..desired(1, Goal::Work)
    };
    let mut events = vec![
        Event::Locked(one),
        told(1, worker),
        told(2, undecided(2)),
        Event::Stopped(one),
        Event::Locked(one),
    ];
    let (node, _) = run(Role::Auto, events.clone());
    assert_eq!((node.standing_for(), node.claims()), (Some(two), None));
    let master = Desired {
        role: Role::Master,
        ..undecided(2)
    };
    events.extend([Event::Locked(two), told(3, master)]);
    let (node, effects) = run(Role::Auto, events);
    assert_eq!(effects.last(), Some(&Effect::StartEngine(two, String::new())));
    assert_eq!(node.claims(), Some(two));
}

#[test]
fn a_node_of_one_role_stands_for_nothing_and_takes_no_other() {
    for (role, other) in [(Role::Master, Role::Worker), (Role::Worker, Role::Master)] {
        let wish = Desired {
            role: other,
            ..desired(1, Goal::Work)
        };
        let (node, _) = run(role, vec![Event::Locked(attempt(1)), told(1, wish)]);
        assert_eq!(
            (node.role(), node.standing_for(), node.claims()),
            (role, None, None)
        );
    }
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

fn goals() -> impl Strategy<Value = Goal> {
    prop_oneof![
        Just(Goal::Form),
        Just(Goal::Work),
        Just(Goal::Collect),
        Just(Goal::Commit),
        Just(Goal::Leave)
    ]
}

/// What a node that is like all others becomes in an attempt; each attempt decides once.
fn elected(n: u32) -> Role {
    if n.is_multiple_of(2) {
        Role::Master
    } else {
        Role::Worker
    }
}

fn events() -> impl Strategy<Value = Event> {
    let n = || (1..4u32).prop_map(attempt);
    let failure = Failure {
        blame: Blame::Job,
        message: "x".into(),
    };
    prop_oneof![
        4 => (1..4u32, goals(), any::<bool>(), any::<bool>(), 0..9u64).prop_map(|(n, goal, known, save, grace)| {
            // Nothing is known of a master before it is decided, nor is more wanted than to form.
            let decided = known || goal > Goal::Form;
            let role = if decided { elected(n) } else { Role::Auto };
            let wish = Desired { role, ..desired(n, goal) };
            let master_address = if known { wish.master_address.clone() } else { String::new() };
            let grace = Duration::from_secs(grace);
            told(0, Desired { master_address, save_results: save, grace, lease: 900 * SECOND, ..wish })
        }),
        1 => (n(), 3..5u8).prop_map(|(n, host)| Event::Found(n, format!("127.0.0.{host}:7077"))),
        1 => n().prop_map(Event::Locked),
        1 => n().prop_map(Event::Prepared),
        1 => n().prop_map(Event::EngineReady),
        1 => n().prop_map(Event::EngineLost),
        1 => n().prop_map(|n| Event::JobExited(n, JobEnd::default())),
        1 => n().prop_map(move |n| Event::Failed(n, failure.clone())),
        2 => n().prop_map(Event::Stopped),
        1 => n().prop_map(Event::Uploaded),
        1 => n().prop_map(Event::Committed),
        1 => Just(Event::Interrupted),
        1 => Just(Event::Farewell),
        1 => Just(Event::Tick),
        1 => Just(Event::Signal),
    ]
}

/// What may run, seen from outside: only from effects given and ends reported.
#[derive(Default)]
struct World {
    running: HashSet<u32>,
    begun: HashSet<(&'static str, u32)>,
    engines: HashMap<u32, String>,
    newest: u32,
    gone: bool,
}

impl World {
    fn see(&mut self, event: &Event, before: &Node) {
        if let Event::Stopped(n) = event
            && before.attempt() == Some(*n)
            && matches!(
                before.stage,
                Stage::Stopping { .. } | Stage::Resetting { .. } | Stage::Leaving { .. }
            )
        {
            self.running.remove(&n.number());
        }
    }

    fn once(&mut self, what: &'static str, n: Attempt) {
        assert!(
            self.begun.insert((what, n.number())),
            "{what} twice in attempt {n}"
        );
        self.not_stale(what, n);
    }

    fn not_stale(&mut self, what: &'static str, n: Attempt) {
        assert!(n.number() >= self.newest, "{what} in stale attempt {n}");
        self.newest = n.number();
    }

    /// Again only with another master, and never in place of one that the coordinator has named.
    fn engine(&mut self, n: Attempt, address: &str) {
        self.not_stale("engine", n);
        let before = self.engines.insert(n.number(), address.to_owned());
        assert!(before.is_none_or(|before| before != address && before != NAMED && !before.is_empty()));
    }

    fn check(&mut self, effect: &Effect) {
        assert!(!self.gone, "{effect:?} after the exit");
        match effect {
            Effect::Prepare(n) => {
                assert!(self.running.is_empty(), "prepared while an older attempt runs");
                self.once("prepare", *n);
                self.running.insert(n.number());
            }
            Effect::StartEngine(n, address) => self.engine(*n, address),
            Effect::StartJob(n) => self.once("job", *n),
            Effect::Decommission(n) => self.once("decommission", *n),
            Effect::Collect(n, _) => assert!(!self.running.contains(&n.number()), "collected while it runs"),
            Effect::WriteCommit(n, ..) => self.once("commit", *n),
            Effect::SetAside(n) => assert!(!self.running.contains(&n.number())),
            Effect::Farewell => assert!(self.running.is_empty(), "left while something runs"),
            Effect::Exit(_) => self.gone = true,
            Effect::Stop(..) => {}
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_breaks_the_rules(role in prop_oneof![Just(Role::Master), Just(Role::Worker), Just(Role::Auto)],
                                    script in proptest::collection::vec(events(), 0..60)) {
        let (mut node, mut world) = (Node::new(role, 900 * SECOND), World::default());
        for event in script {
            world.see(&event, &node);
            let (next, effects) = node.step(SECOND, event);
            node = next;
            effects.iter().for_each(|effect| world.check(effect));
        }
        // However it got here, the order to leave ends it within three answers.
        let last = world.newest.max(3);
        let mut answers = vec![told(1, desired(last, Goal::Leave))];
        answers.extend(node.attempt().map(Event::Stopped));
        answers.push(Event::Farewell);
        for event in answers {
            world.see(&event, &node);
            let (next, effects) = node.step(SECOND, event);
            node = next;
            effects.iter().for_each(|effect| world.check(effect));
        }
        prop_assert!(world.gone);
    }

    #[test]
    fn saying_the_same_twice_changes_nothing(script in proptest::collection::vec(events(), 0..40)) {
        let mut node = Node::new(Role::Master, 900 * SECOND);
        for event in script {
            let (once, _) = node.step(SECOND, event.clone());
            if let Event::Desired { .. } = event {
                let (twice, effects) = once.clone().step(SECOND, event);
                prop_assert_eq!(&twice, &once);
                prop_assert_eq!(effects, vec![]);
            }
            node = once;
        }
    }
}
