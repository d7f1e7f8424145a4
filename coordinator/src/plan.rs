//! What a group of machines that we keep ourselves shall do next: from what is wanted and what is there, no I/O.

use crate::cloud::Machine;
use crate::run::{Role, Wanted};

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the `number`-th machine of this role; numbers are never used twice in a run.
    Start {
        /// What it is for.
        role: Role,
        /// From 1.
        number: u32,
    },
    /// More machines have ended than a group replaces.
    GiveUp {
        /// The role that does not stay up.
        role: Role,
    },
}

/// How many machines of a role are started in all: what is wanted, twice over, and a few.
pub(crate) fn starts_max(wanted: u32) -> u32 {
    wanted.saturating_mul(2).saturating_add(3)
}

/// What to do so that `machines` become what is `wanted`. Surplus machines are not ended here: nodes that are not
/// wanted are told to leave, and a release ends the rest.
#[must_use]
pub fn plan(wanted: Wanted, machines: &[Machine]) -> Vec<Action> {
    let mut actions = plan_role(Role::Master, wanted.masters, machines);
    actions.extend(plan_role(Role::Worker, wanted.workers, machines));
    actions.extend(plan_role(Role::Auto, wanted.alike, machines));
    actions
}

fn plan_role(role: Role, wanted: u32, machines: &[Machine]) -> Vec<Action> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let started = count(machines.iter().filter(|m| m.role == role).count());
    let alive = count(
        machines
            .iter()
            .filter(|m| m.role == role && m.ended.is_none())
            .count(),
    );
    let missing = wanted.saturating_sub(alive);
    if missing > 0 && started.saturating_add(missing) > starts_max(wanted) {
        return vec![Action::GiveUp { role }];
    }
    (0..missing)
        .map(|n| Action::Start {
            role,
            number: started + n + 1,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mayfly_proto::NodeId;
    use proptest::prelude::*;

    use super::*;

    fn machine(role: Role, n: u32, ended: bool) -> Machine {
        let node = match role {
            Role::Master => NodeId::master(n),
            Role::Worker => NodeId::worker(n),
            Role::Auto => NodeId::alike(n),
        };
        let ended = ended.then_some(Timestamp::UNIX_EPOCH);
        Machine {
            id: node.to_string(),
            node,
            role,
            address: None,
            started: Timestamp::UNIX_EPOCH,
            ended,
            offer: None,
        }
    }

    #[test]
    fn a_machine_that_ended_is_replaced_under_a_new_number() {
        let machines = [
            machine(Role::Master, 1, false),
            machine(Role::Worker, 1, true),
            machine(Role::Worker, 2, false),
        ];
        let actions = plan(
            Wanted {
                masters: 1,
                workers: 2,
                ..Wanted::default()
            },
            &machines,
        );
        assert_eq!(
            actions,
            [Action::Start {
                role: Role::Worker,
                number: 3
            }]
        );
    }

    proptest! {
        #[test]
        fn a_group_never_exceeds_what_is_wanted_nor_starts_for_ever(
            workers in 0u32..20, ended in proptest::collection::vec(any::<bool>(), 0..60)
        ) {
            let machines: Vec<_> =
                ended.iter().zip(1..).map(|(&ended, n)| machine(Role::Worker, n, ended)).collect();
            let alive = ended.iter().filter(|&&ended| !ended).count();
            let actions = plan(Wanted { workers, ..Wanted::default() }, &machines);
            let starts = actions.iter().filter(|a| matches!(a, Action::Start { .. })).count();
            prop_assert!(starts == 0 || alive + starts == workers as usize);
            prop_assert!(starts == 0 || machines.len() + starts <= starts_max(workers) as usize);
            let given_up = actions == [Action::GiveUp { role: Role::Worker }];
            prop_assert!(alive >= workers as usize || starts > 0 || given_up);
        }
    }
}
