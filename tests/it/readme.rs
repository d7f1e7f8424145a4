//! The README's section for a team, line by line: what stands there is what is typed.

use std::fs;
use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, light, loopback, programs, slots};
use nix::sys::signal::Signal;

/// Address and port in the README, which a test has no right to.
const PORT: &str = "7070";
const HOST: &str = "mayfly.example.org";
/// What holds a value for the commands that follow.
const EXPORT: &str = "export ";

/// The lines that the section shows as typed, or printed.
fn shown() -> Vec<String> {
    let text = fs::read_to_string(programs::repository().join("README.md")).unwrap();
    let after = text.split_once("\n## For a team\n").expect("the section").1;
    let section = after.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(str::to_owned).collect()
}

/// The names of the variables that these lines set.
fn variables<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let assigned = lines.filter_map(|line| line.strip_prefix(EXPORT));
    assigned
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect()
}

/// A line as somebody types it who has the programs on the path, at the folder of this home.
fn typed(home: &Home, lines: &str) -> Command {
    let program = programs::path("coordinator");
    let beside = program.parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-euc", lines])
        .current_dir(home.gate().parent().expect("the home's folder"))
        .env_clear()
        .env("PATH", format!("{beside}:{path}"))
        .env("HOME", home.gate())
        .env("MAYFLY_HOME", home.path())
        .env("MAYFLY_CACHE", light::cache());
    command
}

#[test]
fn the_commands_for_a_team_are_those_that_work() {
    let _slot = slots::take();
    let (server, ann, repo) = (Home::light(), Home::light(), Repo::of_jobs());
    // The name is the README's, the job one that a test can hold.
    let _job = Job::at_gate("log-reg-iris", &ann, &repo, "holds.py").write(&ann);
    let free = loopback::free();
    let here = |line: &str| {
        line.replace(PORT, &free.port().to_string())
            .replace(HOST, "127.0.0.1")
    };
    let lines = shown();
    let [serve, rest @ ..] = &lines[..] else {
        panic!("the section shows nothing")
    };
    let mut serve = server.start(&mut typed(&server, &format!("exec {}", here(serve))));
    let last = "# coordinator launch JOB --coordinator ";
    let out = serve.stdout_file();
    let said = serve.until("how it is reached", secs(120), || {
        let said = fs::read_to_string(&out).ok()?;
        said.contains(last).then_some(said)
    });
    let promised = variables(rest.iter().filter_map(|line| line.strip_prefix("# ")));
    assert_eq!(variables(said.lines()), promised, "what `serve` prints: {said}");

    let own = rest
        .iter()
        .filter(|line| line.starts_with(EXPORT))
        .map(|line| here(line));
    let told = said
        .lines()
        .filter(|line| line.starts_with(EXPORT))
        .map(str::to_owned);
    let exports: Vec<String> = told.chain(own).collect();
    let start = |line: &str| {
        ann.start(&mut typed(
            &ann,
            &format!("{}\n{}", exports.join("\n"), here(line)),
        ))
    };
    let commands: Vec<&String> = rest
        .iter()
        .filter(|line| line.starts_with("coordinator "))
        .collect();
    let [launch, detach, attach, cancel] = commands[..] else {
        panic!("a launch, one that detaches, an attach and a cancel; not {commands:#?}")
    };
    ann.tell("go");
    start(launch).wait(secs(180)).exited(0).said("succeeded");
    for word in ["go", "holds"] {
        fs::remove_file(ann.gate().join(word)).unwrap();
    }
    let id = start(detach).wait(secs(60)).exited(0).stdout.trim().to_owned();
    let run = server.run(&id.parse().unwrap());
    let mut attached = start(attach);
    attached.until("the job", secs(180), || ann.heard("holds"));
    start(cancel).wait(secs(60)).exited(0);
    attached.wait(secs(60)).exited(130);
    run.assert_closed("cancelled");
    serve.signal(Signal::SIGTERM);
    serve.wait(secs(60)).exited(0);
}
