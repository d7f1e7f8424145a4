//! No sequence of events breaks the rules: nothing twice, nothing of a stale attempt, nothing left running.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

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
