//! Whole runs where a command finds nothing as it should be: they are runs like any other.

use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, clock};

const RESULT: &str =
    "import os, pathlib; pathlib.Path(os.environ['MAYFLY_RESULTS'], 'made.txt').write_text('made')\n";

/// A run on one machine, which takes no Spark.
fn job(repo: &Repo) -> Job {
    Job::new("odd", &repo.url(), "main.py")
        .set("engine", "single")
        .without("workers")
}

/// The same command without a standard input: not an empty one, none.
fn without_input(command: &Command) -> Command {
    let mut without = Command::new("sh");
    without
        .args(["-c", "exec 0<&-; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        without.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => without.env(name, value),
            None => without.env_remove(name),
        };
    }
    without
}

/// In this environment a job is launched, ends well, and is told of by everything that reads.
fn is_a_run(home: &mut Home, environment: &[(&str, &str)], removed: &[&str]) {
    let repo = Repo::of(&[("main.py", RESULT)]);
    home.set_environment(environment);
    let start = |args: &[&str]| -> Launch {
        let mut command = home.command(args);
        for name in removed {
            command.env_remove(name);
        }
        home.start(&mut without_input(&command))
    };
    let file = job(&repo).write(home);
    let ended = start(&["launch", file.to_str().unwrap()]).wait(secs(120));
    ended.exited(0).said("nothing is left");
    let plain = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
    assert!(plain(&ended.stderr), "colours for nobody: {:?}", ended.stderr);
    let [id] = &home.runs()[..] else {
        panic!("one run, not {:?}", home.runs())
    };
    let run = home.run(id);
    run.assert_closed("succeeded");
    assert!(run.stored(1).contains_key("made.txt"), "{:?}", run.stored(1));
    let out = home.scratch("out");
    for args in [
        &["list"][..],
        &["status", "last"],
        &["receipt", "last"],
        &["logs", "last"],
        &["results", "last", "--to", out.to_str().unwrap()],
        &["gc"],
    ] {
        let ended = start(args).wait(secs(60));
        assert!(plain(&ended.exited(0).stdout), "{args:?}: {:?}", ended.stdout);
    }
    assert_eq!(std::fs::read_to_string(out.join("made.txt")).unwrap(), "made");
}

#[test]
fn no_input_no_terminal_an_odd_locale_and_proxies_that_are_none() {
    let garbage = "://garbage:-1";
    let environment = [
        ("TERM", "dumb"),
        ("COLUMNS", "-1"),
        ("LANG", "C"),
        ("LC_ALL", "C"),
        ("TZ", ":Nowhere/Else+99:99:99"),
        ("http_proxy", garbage),
        ("https_proxy", garbage),
        ("all_proxy", garbage),
        ("HTTP_PROXY", garbage),
        ("HTTPS_PROXY", garbage),
        ("ALL_PROXY", garbage),
        ("NO_PROXY", "\u{fffd},,*."),
        // Nobody may write there, not even root.
        ("HOME", "/proc"),
    ];
    is_a_run(&mut Home::light(), &environment, &[]);
}

#[test]
fn no_home_and_no_terminal_that_anybody_named() {
    let removed = [
        "HOME",
        "TERM",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "XDG_CACHE_HOME",
    ];
    is_a_run(&mut Home::light(), &[], &removed);
}

/// The nodes have the right time: they and the coordinator are decades apart.
#[test]
fn a_clock_that_begins_and_one_that_is_far_ahead() {
    let begun = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(1);
    for now in [begun, "2100-01-01T00:00:00Z".parse().unwrap()] {
        let clock = clock::says(now);
        let environment = clock.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut home = Home::light();
        is_a_run(&mut home, &environment, &[]);
        let [id] = &home.runs()[..] else {
            unreachable!("there is one")
        };
        let observed = home.run(id).receipt()["release"]["observed"].clone();
        let observed: Timestamp = observed.as_str().unwrap().parse().unwrap();
        let late = observed.duration_since(now);
        assert!(
            late.abs() < SignedDuration::from_mins(5),
            "{observed} by a clock of {now}"
        );
    }
}
