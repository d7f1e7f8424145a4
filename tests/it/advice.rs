//! What a receipt predicts for other numbers of workers, against what they really took. Long: `--ignored`.
//!
//! The jobs wait rather than compute, since all nodes share the cores of one machine here: how tasks divide among workers is
//! what is checked, not what a machine with more cores would do to each of them. They wait long enough for what is shared
//! all the same, the start of all JVMs and of Python, to be the lesser part.

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};
use serde_json::Value;

/// Furthest that a prediction may be off.
const OFF_MAX: f64 = 0.25;

struct Took {
    workers: u32,
    receipt: Value,
}

impl Took {
    fn working(&self) -> f64 {
        let phases = self.receipt["phases"].as_array().unwrap();
        let working = phases.iter().find(|phase| phase["phase"] == "working").unwrap();
        working["secs"].as_f64().unwrap()
    }

    fn node_secs(&self) -> f64 {
        self.receipt["account"]["node_secs"].as_f64().unwrap()
    }

    /// What this run predicts for so many workers: time of the job, and time of all machines.
    fn predicts(&self, workers: u32) -> (f64, f64) {
        let predictions = self.receipt["account"]["predictions"].as_array().unwrap();
        let one = predictions
            .iter()
            .find(|p| p["workers"] == workers)
            .expect("a prediction");
        (
            one["working_secs"].as_f64().unwrap(),
            one["node_secs"].as_f64().unwrap(),
        )
    }
}

fn run(home: &Home, repo: &Repo, kind: &str, workers: u32) -> Took {
    let job = Job::at_gate(&format!("{kind}-{workers}"), home, repo, "waits.py")
        .workers(workers)
        .args(&[kind, &workers.to_string()]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(300)).exited(0);
    Took {
        workers,
        receipt: run.receipt(),
    }
}

#[test]
#[ignore = "nine runs of two minutes each, and a quiet machine"]
fn predictions_hold_for_1_2_and_4_workers() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let mut wrong = Vec::new();
    for kind in ["even", "skewed", "staged"] {
        let took = [1, 2, 4].map(|workers| run(&home, &repo, kind, workers));
        for from in &took {
            for to in took.iter().filter(|to| to.workers != from.workers) {
                let (working, machines) = from.predicts(to.workers);
                let off = [working / to.working() - 1.0, machines / to.node_secs() - 1.0];
                let line = format!(
                    "{kind}: {} → {} workers: job {working:.1} s for {:.1} s ({:+.0} %), machines {machines:.1} s for {:.1} s ({:+.0} %)",
                    from.workers,
                    to.workers,
                    to.working(),
                    off[0] * 100.0,
                    to.node_secs(),
                    off[1] * 100.0
                );
                eprintln!("{line}");
                if off.iter().any(|off| off.abs() > OFF_MAX) {
                    wrong.push(line);
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "off by more than a quarter:\n{}",
        wrong.join("\n")
    );
}
