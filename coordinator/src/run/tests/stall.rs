//! faults.md 79: jobs that hang, and those that only seem to.

use mayfly_proto::v1;

use super::*;

const STALL: u64 = 160;
/// The part of it in which something may still be seen, and a report.
const MORE: u64 = 12;

fn world() -> World {
    let mut world = World::of(Spec {
        deadline: secs(3_000),
        stall: Some(secs(STALL)),
        ..spec()
    });
    world.form();
    world
}

/// A report of a node whose job and engine do nothing.
fn idle(id: &NodeId) -> Report {
    let is_master = id.as_str().starts_with("master");
    Report {
        output_lines: Some(7),
        progress: Some(v1::Progress::default()),
        usage: v1::Usage {
            work_core_secs: Some(3.0),
            ..v1::Usage::default()
        },
        ..report(if is_master {
            NodePhase::Working
        } else {
            NodePhase::Ready
        })
    }
}

impl World {
    /// Every second all nodes say what they are to say at that time of the job, until the run ends or the time is over.
    fn work(&mut self, time: std::ops::Range<u64>, says: impl Fn(u64, &str, &mut Report) -> bool) {
        for second in time {
            self.now += secs(1);
            for id in [NodeId::master(1), NodeId::worker(1), NodeId::worker(2)] {
                let mut report = idle(&id);
                if says(second, id.as_str(), &mut report) {
                    self.apply(Event::Reported(id, self.run.attempt, Box::new(report)));
                }
            }
            self.apply(Event::Tick);
            if self.run.ended.is_some() {
                return;
            }
        }
    }

    /// How long the job had run when it was found to hang.
    fn found_hanging(&self) -> Option<u64> {
        let ended = self.run.ended.as_ref()?;
        assert_eq!(ended.outcome, Outcome::TimedOut);
        assert!(
            ended
                .reason
                .starts_with("the job showed no sign of life for 2m40s: "),
            "{}",
            ended.reason
        );
        Some(self.now.as_secs())
    }
}

fn in_time(found: Option<u64>) -> bool {
    found.is_some_and(|found| (STALL..=STALL + MORE).contains(&found))
}

#[test]
fn a_job_hangs_when_no_node_shows_a_sign_of_its_life() {
    type Says = fn(u64, &str, &mut Report);
    let jobs: [(&str, bool, Says); 13] = [
        ("nothing at all", true, |_, _, _| {}),
        ("what engines do while they wait", true, |t, _, report| {
            report.usage.work_core_secs = Some(t as f64 * 0.05);
            report.usage.network_sent_bytes = t * 2_000;
        }),
        ("only people's things change", true, |t, _, report| {
            report.status = format!("{t} s");
            report.usage.cpu_core_secs = t as f64;
            report.usage.disk_free_bytes = t;
        }),
        ("a line now and then", false, |t, _, report| {
            report.output_lines = Some(t / 100);
        }),
        ("a result now and then", false, |t, id, report| {
            report.results_files = if id == "worker-2" { t / 100 } else { 0 };
        }),
        ("a task now and then", false, |t, id, report| {
            if id == "master-1" {
                report.progress = Some(v1::Progress {
                    tasks_done: u32::try_from(t / 100).unwrap(),
                    ..v1::Progress::default()
                });
            }
        }),
        ("the master computes", false, |t, id, report| {
            report.usage.work_core_secs = Some(if id == "master-1" { t as f64 } else { 0.0 });
        }),
        ("one worker computes", false, |t, id, report| {
            report.usage.work_core_secs = Some(if id == "worker-2" { t as f64 * 0.2 } else { 0.0 });
        }),
        ("a second of work now and then", false, |t, _, report| {
            report.usage.work_core_secs = Some((t / 100) as f64);
        }),
        ("a slow download", false, |t, _, report| {
            report.usage.network_received_bytes = t * 40_000;
        }),
        ("it writes to a disk", false, |t, _, report| {
            report.usage.disk_written_bytes = t * 40_000;
        }),
        ("an agent that does not count lines", false, |_, id, report| {
            report.output_lines = report.output_lines.filter(|_| id != "worker-1");
        }),
        ("an agent that does not know", false, |_, id, report| {
            report.usage.work_core_secs = Some(if id == "worker-1" { f64::NAN } else { 0.0 });
        }),
    ];
    for (job, hangs, says) in jobs {
        let mut world = world();
        world.work(1..4 * STALL, |t, id, report| {
            says(t, id, report);
            true
        });
        let found = world.found_hanging();
        assert_eq!(found.is_some(), hangs, "{job}: {found:?}");
        assert!(!hangs || in_time(found), "{job}: found after {found:?} s");
    }
}

#[test]
fn a_job_that_hangs_is_ended_as_at_its_deadline() {
    let mut world = world();
    world.run.spec.hold = secs(600);
    world.work(1..2 * STALL, |_, _, _| true);
    let desired = world.run.desired(world.now, &NodeId::master(1));
    assert_eq!(
        (desired.goal, desired.save_results, desired.grace),
        (Goal::Collect, true, secs(5))
    );
    world.settle();
    assert!(world.run.marks.iter().all(|mark| mark.attempt == Attempt::FIRST));
    assert_eq!(world.outcome(), Some(Outcome::TimedOut));
}

#[test]
fn without_a_limit_a_job_may_hang() {
    let mut world = world();
    world.run.spec.stall = None;
    world.work(1..4 * STALL, |_, _, _| true);
    assert_eq!(world.found_hanging(), None);
}

#[test]
fn the_time_of_a_job_begins_with_it() {
    let mut world = world();
    // The record is not in the store yet, or it is the master that hangs.
    world.work(1..2 * STALL, |_, _, report| {
        report.phase = NodePhase::Ready;
        true
    });
    assert_eq!(world.found_hanging(), None);
    world.work(1..2 * STALL, |_, _, _| true);
    assert!(in_time(world.found_hanging().map(|at| at + 1 - 2 * STALL)));
}

#[test]
fn of_a_node_that_is_silent_nothing_is_known() {
    // For less than what makes it lost: what it then says tells of that time, too.
    let mut world = world();
    world.work(1..2 * STALL, |t, id, _| id != "worker-2" || t % 9 == 0);
    assert!(in_time(world.found_hanging()));
    // For longer: it may compute for a master that hears it.
    let mut world = self::world();
    world.work(1..2 * STALL, |t, id, _| id != "worker-2" || t < 20);
    assert_eq!(world.found_hanging(), None);
    world.apply(Event::MachineGone(NodeId::worker(2)));
    assert!(world.found_hanging().is_some(), "nor when it is gone");
    // It comes back.
    let mut world = self::world();
    world.work(1..100, |t, id, _| id != "worker-2" || !(20..60).contains(&t));
    world.work(100..2 * STALL, |_, _, _| true);
    assert!(in_time(world.found_hanging().map(|at| at - 60)));
}

#[test]
fn a_job_that_waits_for_workers_does_not_hang() {
    let mut world = world();
    world.run.spec.timing.without_workers = secs(3 * STALL);
    for worker in [1, 2] {
        world.apply(Event::MachineGone(NodeId::worker(worker)));
    }
    world.work(1..2 * STALL, |_, id, _| id == "master-1");
    assert_eq!(world.found_hanging(), None);
}

#[test]
fn whoever_takes_a_run_over_begins_to_look_then() {
    let mut world = world();
    world.work(1..100, |_, _, _| true);
    world.restart();
    world.work(100..3 * STALL, |_, _, _| true);
    assert!(in_time(world.found_hanging().map(|at| at - 99)));
}
