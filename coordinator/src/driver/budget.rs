//! What a run may cost: it is stopped while there is still enough to save what there is.

use jiff::Timestamp;

use crate::cloud::Machine;
use crate::run::Timing;

/// Millionths of a dollar in a cent.
const CENT: u64 = 10_000;

/// What all machines have cost so far, in millionths of a US dollar.
pub(super) fn spent(machines: &[Machine], now: Timestamp) -> u64 {
    machines.iter().map(|machine| machine.cost_micros(now)).sum()
}

/// What those that are there cost in an hour.
pub(super) fn hourly(machines: &[Machine]) -> u64 {
    let up = machines.iter().filter(|machine| machine.ended.is_none());
    up.filter_map(|machine| machine.offer.as_ref())
        .map(|offer| offer.hourly_micros)
        .sum()
}

/// Why the run must stop now so that it stays within its budget; `None` while it need not.
pub(super) fn exceeded(machines: &[Machine], cents: u64, timing: &Timing, now: Timestamp) -> Option<String> {
    let spent = spent(machines, now);
    let to_save = u128::from(hourly(machines)) * timing.salvage.as_millis() / 3_600_000;
    let needed = u128::from(spent) + to_save;
    if spent == 0 || needed < u128::from(cents.saturating_mul(CENT)) {
        return None;
    }
    Some(format!(
        "the budget of ${:.2} is used up: ${:.4} have been spent, and to save what there is takes up to ${:.4}",
        dollars(cents.saturating_mul(CENT)),
        dollars(spent),
        dollars(u64::try_from(to_save).unwrap_or(u64::MAX)),
    ))
}

/// For people only.
#[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
fn dollars(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mayfly_proto::NodeId;

    use super::*;
    use crate::cloud::{Offer, local};
    use crate::record::Role;

    fn machine(hourly_micros: u64, ended: Option<i64>) -> Machine {
        Machine {
            id: "i-0123456789abcdef0".into(),
            node: NodeId::worker(1),
            role: Role::Worker,
            address: None,
            started: Timestamp::UNIX_EPOCH,
            ended: ended.map(|at| Timestamp::from_second(at).unwrap()),
            offer: Some(Offer {
                kind: "m7g.large".into(),
                zone: "us-east-1a".into(),
                spot: false,
                hourly_micros,
                paid_until: None,
            }),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_machine_costs_by_the_second_and_a_minute_at_least() {
        let dollar = machine(1_000_000, None);
        assert_eq!(dollar.cost_micros(at(3_600)), 1_000_000);
        assert_eq!(dollar.cost_micros(at(1)), 16_666);
        assert_eq!(machine(1_000_000, Some(1_800)).cost_micros(at(9_999)), 500_000);
        let free = Machine {
            offer: None,
            ..machine(1, None)
        };
        assert_eq!(free.cost_micros(at(9_999)), 0);
    }

    #[test]
    fn a_run_is_stopped_while_there_is_enough_to_save_what_there_is() {
        let mut timing = local::timing(local::Patience::COMMAND);
        timing.salvage = Duration::from_secs(360);
        let two = [machine(1_000_000, None), machine(1_000_000, Some(1_800))];
        // An hour costs 1.50 so far, and six minutes of the one that is there 0.10.
        assert_eq!(exceeded(&two, 161, &timing, at(3_600)), None);
        assert!(exceeded(&two, 160, &timing, at(3_600)).is_some());
        assert_eq!(exceeded(&[], 1, &timing, at(3_600)), None);
    }
}
