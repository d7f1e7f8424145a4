//! Whatever happens, in whatever order: the run ends, and it ends well.

use proptest::prelude::*;

use super::*;

const PHASES: [NodePhase; 9] = [
    NodePhase::Preparing,
    NodePhase::Ready,
    NodePhase::Working,
    NodePhase::Ended,
    NodePhase::Collecting,
    NodePhase::Collected,
    NodePhase::Committed,
    NodePhase::Failed,
    NodePhase::Leaving,
];

#[derive(Debug, Clone)]
pub(super) enum Move {
    Wait(u64),
    Enrol(usize),
    Say(usize, usize),
    TakenAway(usize, usize),
    Gone(usize),
    Cancel(bool),
    Armed,
    CommitRead,
    CloudFailed,
    FleetGone,
    Receipt,
    Restart,
}

pub(super) fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0u64..30).prop_map(Move::Wait),
        4 => (0usize..5).prop_map(Move::Enrol),
        16 => (0usize..5, 0..PHASES.len()).prop_map(|(node, phase)| Move::Say(node, phase)),
        2 => (0usize..5, 0..PHASES.len()).prop_map(|(node, phase)| Move::TakenAway(node, phase)),
        1 => (0usize..5).prop_map(Move::Gone),
        1 => any::<bool>().prop_map(Move::Cancel),
        3 => Just(Move::Armed),
        2 => Just(Move::CommitRead),
        1 => Just(Move::CloudFailed),
        1 => Just(Move::FleetGone),
        1 => Just(Move::Receipt),
        1 => Just(Move::Restart),
    ]
}

impl World {
    /// Does what chance says, to one of these nodes.
    pub(super) fn make(&mut self, ids: &[NodeId], step: Move) {
        match step {
            Move::Wait(n) => self.wait(n),
            Move::Enrol(n) => self.enrol(&ids[n]),
            Move::Say(n, phase) => self.say(&ids[n], PHASES[phase]),
            Move::TakenAway(n, phase) if PHASES[phase] == NodePhase::Committed => {
                self.say(&ids[n], PHASES[phase]);
            }
            Move::TakenAway(n, phase) => {
                let report = taken_away(PHASES[phase]);
                self.apply(Event::Reported(ids[n].clone(), self.run.attempt, report));
            }
            Move::Gone(n) => self.apply(Event::MachineGone(ids[n].clone())),
            Move::Cancel(fast) => {
                self.apply(Event::CancelAsked(if fast {
                    Cancel::Fast
                } else {
                    Cancel::Graceful
                }));
            }
            Move::Armed => self.apply(Event::Armed(self.run.attempt)),
            Move::CommitRead => self.apply(Event::CommitRead(self.commit.clone())),
            Move::CloudFailed => self.apply(Event::CloudFailed("no capacity".into())),
            Move::FleetGone => self.apply(Event::FleetGone),
            Move::Receipt => self.apply(Event::ReceiptWritten(self.commit.clone())),
            Move::Restart => self.restart(),
        }
    }
}

/// How far a run has come before anything goes wrong: chance alone seldom brings one to its commit.
#[derive(Debug, Clone, Copy)]
enum Begun {
    No,
    Working,
    MayCommit,
}

fn begun(how: Begun) -> World {
    let mut world = World::new();
    if matches!(how, Begun::No) {
        return world;
    }
    let (master, one, two) = world.form();
    if matches!(how, Begun::MayCommit) {
        world.say(&master, NodePhase::Ended);
        for id in [&one, &two, &master] {
            world.say(id, NodePhase::Collected);
        }
        assert_eq!(world.run.desired(world.now, &master).goal, Goal::Commit);
    }
    world
}

proptest! {
    #[test]
    fn whatever_happens_the_run_ends_well(
        how in prop_oneof![Just(Begun::No), Just(Begun::Working), Just(Begun::MayCommit)],
        moves in proptest::collection::vec(moves(), 0..120),
    ) {
        let ids = [NodeId::master(1), NodeId::master(2), NodeId::worker(1), NodeId::worker(2), NodeId::worker(3)];
        let mut world = begun(how);
        for step in moves {
            world.make(&ids, step);
        }
        world.settle();
        // Whatever was thought before: the commits of this world are all of jobs that succeeded.
        prop_assert_eq!(
            world.outcome() == Some(Outcome::Succeeded),
            world.commit.is_some(),
            "commit {:?}, ended {:?}", world.commit, world.run.ended
        );
    }
}
