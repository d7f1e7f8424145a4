//! Somebody closes the terminal: with the coordinator in the command the run ends with it, elsewhere it goes on.

use std::path::Path;
use std::process::Command;

use mayfly_tests::programs::through;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, Serve, slots};
use nix::sys::signal::Signal;

use super::model::{Kind, Terminal};

/// A job that has begun, and its process.
fn begun<'h>(home: &'h Home, job: &Job, launch: &mut Launch) -> (Run<'h>, String) {
    let run = home.run_of(job, launch);
    let process = launch.until("the job", secs(120), || home.heard("holds"));
    (run, process)
}

fn lives(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[test]
fn a_run_of_this_command_is_cancelled_saved_and_released() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("alone", &home, &repo, "holds.py");
    let mut launch = home.start_on_screen(home.command(&["launch"]).arg(job.write(&home)), 80, 24);
    let (run, _) = begun(&home, &job, &mut launch);
    launch.close_terminal();
    assert_eq!(launch.wait(secs(60)).code, Some(130));
    run.assert_closed("cancelled");
    assert!(run.stored(1).contains_key("part.txt"), "{:?}", run.stored(1));
    assert!(run.output(&[]).contains("holding in attempt 1"));
}

#[test]
fn the_job_goes_on_printing_while_the_terminal_is_closed() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    // What cannot be shown any more must not keep the run from being closed.
    let job = Job::at_gate("chatty", &home, &repo, "light.py").args(&["", "chatty"]);
    let mut launch = home.start_on_screen(home.command(&["launch"]).arg(job.write(&home)), 80, 24);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("works-1"));
    launch.close_terminal();
    assert_eq!(launch.wait(secs(60)).code, Some(130));
    run.assert_closed("cancelled");
}

#[test]
fn a_reader_that_leaves_ends_the_run_of_this_command_in_order() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("unread", &home, &repo, "light.py").args(&["", "chatty"]);
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$@\" | head -n 1; exit ${PIPESTATUS[0]}", "pipe"]);
    let mut launch = home.start(&mut through(
        shell,
        home.command(&["launch"]).arg(job.write(&home)),
    ));
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(90));
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(130), "working in attempt 1\n")
    );
    ended.said("nothing is left");
    run.assert_closed("cancelled");
}

#[test]
fn a_run_of_a_server_goes_on_and_is_come_back_to() {
    let _slot = slots::take();
    let (server, ann, repo) = (Home::light(), Home::new(), Repo::of_jobs());
    let serve = Serve::start(&server);
    let job = Job::at_gate("left", &server, &repo, "holds.py");
    let mut launch = ann.start_on_screen(serve.command(&ann, &["launch"]).arg(job.write(&ann)), 80, 24);
    let (run, process) = begun(&server, &job, &mut launch);
    launch.close_terminal();
    assert_eq!(launch.wait(secs(20)).code, Some(0), "who leaves has not failed");
    // A run that was cancelled would be so by the time that the server has answered somebody else.
    assert_eq!(serve.runs().len(), 1);
    assert_eq!(
        (run.phase().as_str(), lives(&process)),
        ("working", true),
        "it has ended"
    );
    let id = run.id.to_string();
    let mut back = ann.start_on_screen(&serve.command(&ann, &["attach", &id]), 80, 24);
    let mut terminal = Terminal::new(Kind::Reflows, 80, 24);
    terminal.wait(&mut back, "the run again", |terminal| {
        let window = terminal.window();
        window.contains("▸ working") && window.contains("holding in attempt 1")
    });
    // `attach` is left by the same way.
    back.close_terminal();
    assert_eq!(back.wait(secs(20)).code, Some(0));
    assert_eq!(
        (run.phase().as_str(), lives(&process)),
        ("working", true),
        "it has ended"
    );
    server.tell("go");
    wait::until("the end of the run", secs(60), || {
        (run.phase() == "closed").then_some(())
    });
    run.assert_closed("succeeded");
}

#[test]
fn a_hangup_without_a_terminal_leaves_the_run_of_a_server_too() {
    let _slot = slots::take();
    let (server, ann, repo) = (Home::light(), Home::new(), Repo::of_jobs());
    let serve = Serve::start(&server);
    let job = Job::at_gate("hung", &server, &repo, "holds.py");
    let mut launch = serve.launch(&ann, &job, &[]);
    let run = server.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || server.heard("holds"));
    launch.signal(Signal::SIGHUP);
    launch
        .wait(secs(20))
        .exited(0)
        .said(&format!("{} goes on without this command", run.id));
    assert_eq!(run.phase(), "working");
    server.tell("go");
    wait::until("the end of the run", secs(60), || {
        (run.phase() == "closed").then_some(())
    });
    run.assert_closed("succeeded");
}

#[test]
fn nohup_keeps_the_run_of_a_command() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("kept", &home, &repo, "holds.py");
    let nohup = Command::new("nohup");
    let mut launch = home.start(&mut through(
        nohup,
        home.command(&["launch"]).arg(job.write(&home)),
    ));
    let (run, process) = begun(&home, &job, &mut launch);
    launch.signal(Signal::SIGHUP);
    home.tell("go");
    launch.wait(secs(60)).exited(0).said("nothing is left");
    assert!(!lives(&process));
    run.assert_closed("succeeded");
}
