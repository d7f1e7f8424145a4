use mayfly_proto::v1::Usage;

use super::*;
use crate::record::{Point, Scaling};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn machine(role: Role, from: i64, to: i64, cost_micros: u64) -> Lived {
    Lived {
        role,
        started: at(from),
        ended: at(to),
        cores: 2,
        memory_bytes: 8 << 30,
        usage: Usage {
            cpu_core_secs: 10.0,
            peak_memory_bytes: 6 << 30,
            ..Usage::default()
        },
        cost_micros,
        lost: false,
    }
}

/// A master and four workers for 100 s; 60 s of them work, in 20 s of which eight cores share 80 s of tasks.
fn parts() -> Parts {
    let mut machines = vec![machine(Role::Master, 0, 100, 1000)];
    machines.extend((0..4).map(|_| machine(Role::Worker, 0, 100, 1000)));
    let point = |cores, secs| Point { cores, secs };
    Parts {
        machines,
        attempt_began: at(0),
        working: Some((at(30), at(90))),
        total_secs: 100.0,
        workers: 4,
        tells: true,
        spark: Some(Summary {
            tasks: 40,
            task_secs: 80.0,
            executor_core_secs: 480.0,
            cores: 8,
            first_task_ms: at(40).as_millisecond(),
            last_task_ms: at(80).as_millisecond(),
            scaling: Some(Scaling {
                cores: 8,
                secs: 20.0,
                points: vec![
                    point(1, 80.0),
                    point(2, 40.0),
                    point(4, 25.0),
                    point(8, 20.0),
                    point(32, 20.0),
                ],
            }),
            ..Summary::default()
        }),
    }
}

#[test]
fn every_second_is_wasted_once_at_most() {
    let mut parts = parts();
    parts.machines[4].lost = true;
    parts.attempt_began = at(10);
    let account = of(parts);
    let waste = account.waste;
    assert_eq!(account.node_secs, 500.0);
    assert_eq!(waste.failed_attempts.node_secs, 50.0);
    // 30 s each of the master and the three workers that stayed.
    assert_eq!(waste.before_work.node_secs, 120.0);
    assert_eq!(waste.idle_tail.node_secs, 60.0);
    assert_eq!((waste.lost.node_secs, waste.lost.cost_micros), (90.0, 900));
    let workers = &account.groups[1];
    assert_eq!((workers.nodes, workers.lost, workers.core_secs), (4, 1, 800.0));
}

#[test]
fn a_run_that_waits_is_advised_to_take_fewer_workers_with_the_arithmetic() {
    let account = of(parts());
    let two = account.predictions.iter().find(|p| p.workers == 2).unwrap();
    // Two workers bring four cores: the tasks take 25 s there, all else the 80 s that it took.
    assert_eq!((two.working_secs, two.total_secs), (65.0, 105.0));
    assert_eq!((two.node_secs, two.cost_micros), (315.0, 3150));
    let advice = &account.advice[0];
    assert_eq!(advice.kind, "fewer-workers");
    assert_eq!(
        advice.text,
        "1 worker would have taken about 2 min instead of 100 s and cost 52 % less"
    );
    assert!(
        advice
            .arithmetic
            .contains("its 40 tasks take 80 s one after the other: 20 s on 8 cores"),
        "{}",
        advice.arithmetic
    );
    assert!(
        advice.arithmetic.contains("executors were 17 % busy"),
        "{}",
        advice.arithmetic
    );
}

#[test]
fn a_run_of_work_that_divides_is_advised_to_take_more() {
    let mut parts = parts();
    parts.machines.truncate(2);
    parts.workers = 1;
    let spark = parts.spark.as_mut().unwrap();
    (spark.cores, spark.executor_core_secs) = (2, 100.0);
    let point = |cores, secs| Point { cores, secs };
    parts.working = Some((at(10), at(95)));
    spark.scaling = Some(Scaling {
        cores: 2,
        secs: 80.0,
        points: vec![point(1, 160.0), point(2, 80.0), point(4, 40.0), point(8, 20.0)],
    });
    let account = of(parts);
    assert_eq!(account.advice[0].kind, "more-workers", "{:?}", account.advice);
    assert!(
        account.advice[0]
            .text
            .starts_with("2 workers would have taken about 60 s instead of 100 s"),
        "{:?}",
        account.advice
    );
}

#[test]
fn what_cannot_be_told_is_not() {
    let mut parts = parts();
    parts.spark = None;
    assert!(of(parts.clone()).predictions.is_empty());
    parts.working = None;
    let waste = of(parts).waste;
    // Nothing ever worked: all of it was before.
    assert_eq!(waste.before_work.node_secs, 500.0);
    assert_eq!(waste.idle_tail.node_secs, 0.0);
}
