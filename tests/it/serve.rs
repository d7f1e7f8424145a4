//! A coordinator for several people: it may die at any moment, and every run goes on under the next one.

use std::time::Duration;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, Serve, serve, slots};

/// Lives of the coordinator in one job.
const LIVES: u64 = 20;

#[test]
fn killed_twenty_times_during_one_job() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let mut serve = Serve::start(&home);
    let job = Job::at_gate("outlives", &home, &repo, "holds.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    // At any moment: some while it forms, some while it works, some while results are collected.
    for life in 0..LIVES {
        serve.live_for(Duration::from_millis(37 * (life * 13 % 29)));
        if life == LIVES / 2 {
            launch.until("the job", secs(180), || home.heard("holds"));
            // The nodes of a command that died would be gone after this time; a server's wait for its next life.
            serve.kill();
            serve::nobody_for(secs(14));
        }
        serve.again(&home);
        if life == LIVES - 3 {
            home.tell("go");
        }
    }
    launch.wait(secs(180)).exited(0);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 1, "{receipt:#}");
    assert_eq!(receipt["release"]["machines_started"], 2, "{receipt:#}");
    assert_eq!(run.stored(1).keys().collect::<Vec<_>>(), ["part.txt"]);
    assert_eq!(
        std::fs::read_to_string(run.results(1).join("part.txt")).unwrap(),
        "attempt 1\n"
    );
    let nodes = receipt["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["lost"] == false), "{receipt:#}");
}
