//! More output than usual: of an agent that tells everything, and of a job that prints as fast as it can for a minute (long:
//! `--ignored`).

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use mayfly_agent::run::ADMIN_PORT;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, Run, http, slots};

const FLOOD_SECS: u64 = 60;
/// Longest that a report may take meanwhile: half of the time between two.
const SYNC_MAX: f64 = 1.024;

fn master(run: &Run<'_>) -> SocketAddr {
    let record = run.record().unwrap();
    let nodes = record["nodes"].as_array().unwrap();
    let master = nodes.iter().find(|node| node["role"] == "master").unwrap();
    let address: IpAddr = master["address"].as_str().unwrap().parse().unwrap();
    SocketAddr::new(address, ADMIN_PORT)
}

/// Reports that took no longer than so many seconds, and all.
fn reports(page: &str) -> (u64, u64) {
    let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    let found = |begins: &str| {
        let line = page.lines().find(|line| line.starts_with(begins));
        line.and_then(value)
            .unwrap_or_else(|| panic!("{begins} in {page}"))
    };
    (
        found(&format!("mayfly_sync_seconds_bucket{{le=\"{SYNC_MAX}\"")),
        found("mayfly_sync_seconds_count"),
    )
}

/// The numbers of the job's lines are all there, in order.
fn all_lines(home: &Home, run: &Run<'_>, count: u64) {
    let mut logs = home.command(&["logs", run.id.as_str()]);
    let mut logs = logs.stdout(Stdio::piped()).spawn().unwrap();
    let mut next = 0;
    for line in BufReader::new(logs.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(number) = line.strip_suffix(&"x".repeat(90)) else {
            continue;
        };
        assert_eq!(number.trim().parse::<u64>().unwrap(), next);
        next += 1;
    }
    assert!(logs.wait().unwrap().success());
    assert_eq!(next, count, "lines in the log, and lines printed");
}

/// Each upload of its log is a line in it. It must not be that log once more.
#[test]
fn an_agent_that_tells_everything_comes_to_an_end() {
    let _slot = slots::take();
    let (mut home, repo) = (Home::light(), Repo::of_jobs());
    home.set_environment(&[("MAYFLY_LOG", "debug")]);
    let job = Job::at_gate("tells", &home, &repo, "light.py").args(&["tells"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let fourth = run.folder().join("attempt-1/logs/master-1/agent-000003.log.gz");
    launch.until("a few uploads of the agent's log", secs(90), || {
        fourth.is_file().then_some(())
    });
    home.tell("gotells");
    launch.wait(secs(60)).exited(0);
    run.assert_closed("succeeded");
    let told = run.output(&["--stream", "agent"]);
    assert!(told.len() < 1 << 20, "{} bytes of logs", told.len());
}

#[test]
#[ignore = "prints for a minute, and wants a quiet machine"]
fn nothing_is_late_and_nothing_is_lost() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("floods", &home, &repo, "floods.py").args(&[&FLOOD_SECS.to_string()]);
    let mut launch: Launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let count = launch.until("the end of the flood", secs(FLOOD_SECS + 60), || {
        home.heard("flooded")
    });
    let count: u64 = count.trim().parse().unwrap();
    let (in_time, all) = reports(&http::get(master(&run), "/metrics").body);
    home.tell("go");
    launch.wait(secs(120)).exited(0);
    run.assert_closed("succeeded");
    let rate = count * 100 / FLOOD_SECS / 1_000_000;
    eprintln!("{count} lines at {rate} MB/s; {in_time} of {all} reports took at most {SYNC_MAX} s");
    assert_eq!(in_time, all, "reports that took longer than {SYNC_MAX} s");
    all_lines(&home, &run, count);
}
