//! What a launch takes and costs, before it is made. No I/O: the plan of a cloud in, a [`Quote`] out.

use std::time::Duration;

use mayfly_configs::{Job, Machine};
use mayfly_proto::v1;

use crate::cloud::{PAID_AT_LEAST, Sizes, for_time};
use crate::plan::starts_max;
use crate::run::Role;

/// Millionths of a US dollar.
type Micros = u64;
/// Millionths of a dollar in a cent.
const CENT: Micros = 10_000;

/// What one machine costs in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hourly {
    /// At the prices of now.
    pub now: Micros,
    /// At the most.
    pub most: Micros,
}

/// Machines that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// What they are for.
    pub role: Role,
    /// How many.
    pub count: u32,
    /// Types that they may be of, the preferred one first; none where machines have no types.
    pub types: Vec<String>,
    /// Whether they may be taken back at any time.
    pub spot: bool,
    /// Cores, and memory in bytes, that each offers to the engine.
    pub size: (u32, u64),
    /// What each costs.
    pub hourly: Hourly,
}

/// What a launch takes and costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The machines.
    pub lots: Vec<Lot>,
    /// Where they will be, if there is room.
    pub zone: String,
    /// What all of them cost in an hour, at the prices of now.
    pub hourly: Micros,
    /// The most that the run can come to.
    pub worst: Micros,
    /// Whether the run's budget is what bounds it, and not its deadline.
    pub is_capped: bool,
    /// Longest life of the run, as its job has it.
    pub deadline: Duration,
}

/// What bounds the cost of a run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Longest life of the run.
    pub deadline: Duration,
    /// How much longer machines may be there, whatever happens.
    pub overtime: Duration,
    /// The budget.
    pub cents: u64,
}

impl Bounds {
    /// Those of a job.
    #[must_use]
    pub fn of(job: &Job, overtime: Duration) -> Self {
        Self {
            deadline: job.limits.deadline.as_duration(),
            overtime,
            cents: job.limits.cost_cents,
        }
    }
}

/// The machines of a job; `price` tells what an hour of one costs: its types, and whether it is spot.
pub fn lots(job: &Job, sizes: Sizes, price: impl Fn(&[String], bool) -> Hourly) -> Vec<Lot> {
    let lot = |role, machine: &Machine, count, spot, size| {
        let types: Vec<String> = machine.instance.iter().map(ToString::to_string).collect();
        Lot {
            role,
            count,
            spot,
            size,
            hourly: price(&types, spot),
            types,
        }
    };
    let workers = &job.workers;
    let spot = if workers.machine.spot {
        workers.count.saturating_sub(workers.on_demand)
    } else {
        0
    };
    let all = [
        lot(Role::Master, &job.master, 1, job.master.spot, sizes.master),
        lot(
            Role::Worker,
            &workers.machine,
            workers.count - spot,
            false,
            sizes.worker,
        ),
        lot(Role::Worker, &workers.machine, spot, true, sizes.worker),
    ];
    all.into_iter().filter(|lot| lot.count > 0).collect()
}

/// What these machines cost within these bounds.
#[must_use]
pub fn quote(lots: Vec<Lot>, zone: &str, bounds: Bounds) -> Quote {
    let hourly = sum(lots.iter().map(|lot| times(lot.hourly.now, lot.count)));
    let uncapped = worst(&lots, bounds);
    let budget = bounds.cents.saturating_mul(CENT);
    Quote {
        lots,
        zone: zone.to_owned(),
        hourly,
        worst: uncapped.min(budget),
        is_capped: budget < uncapped,
        deadline: bounds.deadline,
    }
}

/// Every machine at its dearest until nobody may be there any more, and as many replaced as a group replaces.
fn worst(lots: &[Lot], bounds: Bounds) -> Micros {
    let life = bounds.deadline.saturating_add(bounds.overtime);
    let all = lots.iter().map(|lot| {
        let replaced = starts_max(lot.count).saturating_sub(lot.count);
        let there = for_time(times(lot.hourly.most, lot.count), life);
        there.saturating_add(for_time(times(lot.hourly.most, replaced), PAID_AT_LEAST))
    });
    sum(all)
}

fn times(micros: Micros, count: u32) -> Micros {
    micros.saturating_mul(u64::from(count))
}

fn sum(all: impl Iterator<Item = Micros>) -> Micros {
    all.fold(0, Micros::saturating_add)
}

impl Quote {
    /// As the protocol has it.
    #[must_use]
    pub fn wire(&self, cloud: &str) -> v1::PlanReply {
        let machines = self.lots.iter().map(|lot| v1::PlannedMachines {
            role: crate::grpc::role_on_wire(lot.role).into(),
            count: lot.count,
            types: lot.types.clone(),
            spot: lot.spot,
            cores: lot.size.0,
            memory_bytes: lot.size.1,
            hourly_micros: lot.hourly.now,
        });
        v1::PlanReply {
            cloud: cloud.to_owned(),
            machines: machines.collect(),
            zone: self.zone.clone(),
            hourly_micros: self.hourly,
            worst_micros: self.worst,
            capped: self.is_capped,
            deadline_secs: self.deadline.as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn job(sets: &[(&str, &str)]) -> Job {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            workers: Some(4),
            sets: sets
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            ..AdHoc::default()
        };
        ad_hoc(&flags, &|_| None).unwrap()
    }

    const SIZES: Sizes = Sizes {
        master: (1, 1 << 30),
        worker: (2, 2 << 30),
    };

    /// A dollar on demand, a quarter as spot.
    fn price(_types: &[String], spot: bool) -> Hourly {
        Hourly {
            now: if spot { 250_000 } else { 1_000_000 },
            most: 1_000_000,
        }
    }

    fn bounds(cents: u64) -> Bounds {
        Bounds {
            deadline: HOUR,
            overtime: HOUR / 2,
            cents,
        }
    }

    #[test]
    fn an_hour_costs_what_spot_and_the_others_cost_now() {
        let spot = job(&[("workers.spot", "true"), ("workers.on_demand", "1")]);
        let lots = lots(&spot, SIZES, price);
        let counts: Vec<(u32, bool)> = lots.iter().map(|lot| (lot.count, lot.spot)).collect();
        assert_eq!(counts, [(1, false), (1, false), (3, true)]);
        let quote = quote(lots, "a", bounds(100_000));
        assert_eq!(quote.hourly, 2_750_000);
        assert!(!quote.is_capped);
        // Five machines for an hour and a half, and 4 + 4 + 6 that end at once.
        assert_eq!(quote.worst, 7_500_000 + 2 * 66_666 + 100_000);
    }

    #[test]
    fn a_budget_bounds_the_worst_case() {
        let quote = quote(lots(&job(&[]), SIZES, price), "a", bounds(300));
        assert_eq!(
            (quote.hourly, quote.worst, quote.is_capped),
            (5_000_000, 3_000_000, true)
        );
    }

    #[test]
    fn machines_that_cost_nothing_cost_nothing() {
        let free = lots(&job(&[]), SIZES, |_, _| Hourly::default());
        let quote = quote(free, "", bounds(1));
        assert_eq!((quote.hourly, quote.worst, quote.is_capped), (0, 0, false));
    }

    proptest! {
        #[test]
        fn the_worst_case_never_exceeds_the_budget_nor_falls_below_the_time_that_is_asked_for(
            count in 1u32..1_000_000, now in 0u64..100_000_000, more in 0u64..100_000_000,
            secs in 60u64..604_800, cents in 1u64..1_000_000,
        ) {
            let lot = Lot {
                role: Role::Worker, count, types: Vec::new(), spot: false, size: (1, 1),
                hourly: Hourly { now, most: now + more },
            };
            let bounds = Bounds { deadline: Duration::from_secs(secs), overtime: HOUR, cents };
            let quote = quote(vec![lot], "a", bounds);
            prop_assert!(quote.worst <= cents * CENT);
            let whole = for_time(quote.hourly, bounds.deadline);
            prop_assert!(quote.is_capped || quote.worst >= whole);
        }
    }
}
