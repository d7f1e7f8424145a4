//! The world of a run, driven by hand, which checks after each event what must always hold.

use super::*;

/// A run and the world it knows of, driven by hand.
pub(super) struct World {
    pub(super) run: Run,
    pub(super) now: Duration,
    pub(super) effects: Vec<Effect>,
    pub(super) commit: Option<Commit>,
    /// The state as the record has it.
    pub(super) saved: Run,
    /// Who was told to commit in this attempt: a later coordinator does not take that back.
    pub(super) told: Option<(NodeId, Attempt)>,
    /// The master of each attempt, as its nodes were told.
    pub(super) masters: BTreeMap<Attempt, NodeId>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(spec())
    }

    pub(super) fn of(spec: Spec) -> Self {
        let mut world = Self {
            run: Run::new(spec.clone()),
            now: Duration::ZERO,
            effects: Vec::new(),
            commit: None,
            saved: Run::new(spec),
            told: None,
            masters: BTreeMap::new(),
        };
        world.apply(Event::Recorded);
        world
    }

    pub(super) fn apply(&mut self, event: Event) {
        let (before, attempt) = (self.run.ended.clone(), self.run.attempt);
        let (run, effects) = self.run.clone().step(self.now, event);
        self.run = run;
        let begins = effects.iter().find_map(|effect| match effect {
            Effect::Begin(attempt) => Some(*attempt),
            Effect::Save | Effect::Arm(_) | Effect::ReadCommit | Effect::WriteReceipt => None,
        });
        self.take(effects);
        self.check(before, attempt);
        self.check_master();
        // The store answers at once.
        if let Some(attempt) = begins {
            self.apply(Event::Begun(attempt));
        }
    }

    /// Nodes that are alike never see two masters of one attempt.
    fn check_master(&mut self) {
        let attempt = self.run.attempt;
        for (id, node) in self.run.nodes.iter().filter(|_| self.run.spec.alike) {
            let told = self.run.desired(self.now, id).role;
            if told == Role::Master && node.attempt == attempt {
                let known = self.masters.entry(attempt).or_insert_with(|| id.clone());
                assert_eq!(known, id, "two masters in attempt {attempt}");
            }
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        if effects.contains(&Effect::Save) {
            self.saved = self.run.clone();
        }
        self.effects.extend(effects);
        let told = self
            .run
            .nodes
            .keys()
            .find(|id| self.run.desired(self.now, id).goal == Goal::Commit);
        self.told = told.map(|id| (id.clone(), self.run.attempt)).or(self.told.take());
    }

    /// The coordinator dies, and the next one takes the run over from its record.
    pub(super) fn restart(&mut self) {
        let (before, attempt) = (self.run.ended.clone(), self.run.attempt);
        let saved = self.saved.clone();
        let past = Past {
            attempt: saved.attempt,
            marks: saved.marks.clone(),
            ended: saved.ended.clone(),
            job: saved.job_end().cloned(),
            held_until: saved.held_until(),
            commit: self.commit.clone(),
            nodes: saved.nodes.into_values().collect(),
        };
        let (run, effects) = Run::adopt(saved.spec, past, self.now);
        self.run = run;
        self.effects.retain(|effect| *effect == Effect::WriteReceipt);
        self.take(effects);
        self.check(before, attempt);
        self.check_master();
    }

    fn check(&self, before: Option<Ended>, attempt: Attempt) {
        if before.is_some() && self.run.ended != before {
            let committed = self
                .commit
                .as_ref()
                .map(|commit| Ended::committed(commit.exit_code, &commit.cause));
            assert_eq!(self.run.stage, Stage::Closed, "an outcome changed");
            assert_eq!(
                self.run.ended, committed,
                "an outcome changed, and not to the commit's"
            );
        }
        assert!(
            self.run.attempt >= attempt && self.run.attempt.number() <= 2,
            "attempts are bounded"
        );
        if self.run.stage == Stage::Closed {
            assert!(
                self.run.nodes.values().all(|node| node.gone_at.is_some()),
                "closed with a live node"
            );
            assert!(self.run.ended.is_some(), "closed without an outcome");
            assert!(
                self.effects.contains(&Effect::WriteReceipt),
                "closed without a receipt"
            );
        }
        let succeeded = self
            .run
            .ended
            .as_ref()
            .is_some_and(|ended| ended.outcome == Outcome::Succeeded);
        assert!(!succeeded || self.commit.is_some(), "success without a commit");
        let committers = self
            .run
            .nodes
            .keys()
            .filter(|id| self.run.desired(self.now, id).goal == Goal::Commit);
        assert!(committers.count() <= 1, "two nodes may commit");
    }

    /// Time passes while nobody says anything.
    pub(super) fn wait(&mut self, secs: u64) {
        for _ in 0..secs {
            self.now += Duration::from_secs(1);
            self.apply(Event::Tick);
        }
    }

    pub(super) fn enrol(&mut self, id: &NodeId) {
        let node = node(id, self.now);
        self.apply(Event::Enrolled(node));
    }

    pub(super) fn say(&mut self, id: &NodeId, phase: NodePhase) {
        let attempt = self.run.attempt;
        // A master that is there commits only as told, and only the first commit of a run is taken by the store.
        if phase == NodePhase::Committed {
            let gone = self.run.nodes.get(id).is_some_and(|node| node.gone_at.is_some());
            if gone || self.told != Some((id.clone(), attempt)) {
                return;
            }
            self.commit.get_or_insert(Commit {
                attempt,
                exit_code: Some(0),
                cause: String::new(),
            });
        }
        self.apply(Event::Reported(id.clone(), attempt, Box::new(report(phase))));
    }

    pub(super) fn form(&mut self) -> (NodeId, NodeId, NodeId) {
        self.apply(Event::Armed(Attempt::FIRST));
        let ids = (NodeId::master(1), NodeId::worker(1), NodeId::worker(2));
        for id in [&ids.0, &ids.1, &ids.2] {
            self.enrol(id);
            self.say(id, NodePhase::Ready);
        }
        ids
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.run.ended.as_ref().map(|ended| ended.outcome)
    }

    /// The faults stop: the world answers as it should until the run is at rest.
    pub(super) fn settle(&mut self) {
        for _ in 0..2_000 {
            if self.run.stage == Stage::Closed {
                return;
            }
            self.now += secs(1);
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Arm(attempt) => self.apply(Event::Armed(attempt)),
                    Effect::ReadCommit => self.apply(Event::CommitRead(self.commit.clone())),
                    Effect::WriteReceipt => {
                        self.effects.push(Effect::WriteReceipt);
                        self.apply(Event::ReceiptWritten(self.commit.clone()));
                    }
                    Effect::Begin(attempt) => self.apply(Event::Begun(attempt)),
                    Effect::Save => {}
                }
            }
            if matches!(self.run.stage, Stage::Releasing { gone: false }) {
                self.apply(Event::FleetGone);
            }
            self.apply(Event::Tick);
        }
        panic!("the run did not come to rest: {:?}", self.run.stage);
    }
}
