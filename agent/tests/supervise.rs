//! Keepers and what they promise, with real processes.

mod groups;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::FutureExt;
use mayfly_agent::supervise::{Child, Spec, Stream};
use tokio::sync::mpsc;

fn spec(script: &str) -> Spec {
    Spec {
        name: "test".into(),
        stream: Stream::Job,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
        cwd: "/".into(),
        keeper: PathBuf::from(env!("CARGO_BIN_EXE_agent")).into(),
    }
}

fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A daemon that leaves its session by a double fork and prints its pid.
const DAEMON: &str = "(setsid sh -c '(sleep 1000 & echo $!) ' &) ; sleep 0.2";

macro_rules! pid_line {
    ($lines:expr) => {
        $lines.recv().await.unwrap().text.parse::<i32>().unwrap()
    };
}

#[tokio::test]
async fn an_exit_is_a_value_and_the_environment_is_what_was_given() {
    let (tx, mut rx) = mpsc::channel(10);
    let mut spec = spec("echo $A; echo err >&2; exit 3");
    spec.env.push(("A".into(), "b c".into()));
    let child = Child::spawn(spec, tx).await.unwrap();
    let exit = child.wait().await;
    assert_eq!((exit.code, exit.signal), (Some(3), None));
    assert!(exit.max_rss_bytes > 100_000, "{exit:?}");
    let mut texts = vec![rx.recv().await.unwrap().text, rx.recv().await.unwrap().text];
    texts.sort();
    assert_eq!(texts, ["b c", "err"]);
    assert!(rx.recv().await.is_none());
}

#[tokio::test]
async fn what_cannot_start_says_so() {
    let (tx, _rx) = mpsc::channel(10);
    let mut spec = spec("");
    spec.program = OsString::from("/nonexistent/program");
    let error = Child::spawn(spec, tx).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/nonexistent/program"), "{error}");
}

#[tokio::test]
async fn a_daemon_that_left_its_session_dies_with_the_program() {
    // With a control group where there can be one, and without.
    for stream in [Stream::Job, Stream::Agent] {
        let (tx, mut rx) = mpsc::channel(10);
        let spec = Spec {
            stream,
            ..spec(&format!("{DAEMON}; exit 0"))
        };
        let child = Child::spawn(spec, tx).await.unwrap();
        let daemon = pid_line!(rx);
        assert_eq!(child.wait().await.code, Some(0));
        assert!(!alive(daemon));
    }
}

/// One daemon after another, each of a session of its own and without a parent.
const BOMB: &str = "while :; do (setsid sh -c '(sleep 1000 &)' &); done";

#[tokio::test]
async fn what_forks_for_ever_is_gone_with_its_control_group() {
    if !groups::can_be_made() {
        return;
    }
    let (tx, _rx) = mpsc::channel(10);
    let child = Child::spawn(spec(BOMB), tx).await.unwrap();
    let group = groups::of(i32::try_from(child.pid()).unwrap());
    assert!(groups::is_keepers(&group), "{}", group.display());
    eventually("daemons in the group", || {
        let inside = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
        inside.lines().count() > 10
    })
    .await;
    assert_eq!(child.kill().await.signal, Some(9));
    // What runs in one keeps its folder.
    assert!(!group.exists());
}

#[tokio::test]
async fn what_the_agent_runs_for_itself_has_no_control_group_of_its_own() {
    if !groups::can_be_made() {
        return;
    }
    let (tx, mut rx) = mpsc::channel(10);
    let spec = Spec {
        stream: Stream::Agent,
        ..spec("echo $$; exec sleep 1000")
    };
    let _child = Child::spawn(spec, tx).await.unwrap();
    assert!(!groups::is_keepers(&groups::of(pid_line!(rx))));
}

#[tokio::test]
async fn what_ignores_term_is_killed_after_the_grace() {
    let (tx, mut rx) = mpsc::channel(10);
    let child = Child::spawn(spec("trap '' TERM; echo $$; while :; do sleep 1; done"), tx)
        .await
        .unwrap();
    assert_eq!(pid_line!(rx), i32::try_from(child.pid()).unwrap());
    let exit = child.stop(Duration::from_millis(100)).await;
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
}

#[tokio::test]
async fn what_obeys_term_may_finish() {
    let (tx, mut rx) = mpsc::channel(10);
    let child = Child::spawn(
        spec("trap 'exit 7' TERM; echo $$; while :; do sleep 0.05; done"),
        tx,
    )
    .await
    .unwrap();
    pid_line!(rx);
    assert_eq!(child.stop(Duration::from_secs(20)).await.code, Some(7));
}

#[tokio::test]
async fn dropping_it_kills_the_tree() {
    let (tx, mut rx) = mpsc::channel(10);
    let child = Child::spawn(spec(&format!("{DAEMON}; sleep 1000")), tx)
        .await
        .unwrap();
    let (daemon, program) = (pid_line!(rx), i32::try_from(child.pid()).unwrap());
    assert!(alive(daemon) && alive(program));
    drop(child);
    eventually("tree gone", || !alive(daemon) && !alive(program)).await;
}

#[tokio::test]
async fn what_was_dropped_writes_nothing_more_when_all_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = spec("").keeper;
    let in_folder = |script: &str| Spec {
        cwd: folder.path().into(),
        keeper: keeper.clone(),
        ..spec(script)
    };
    let (tx, mut rx) = mpsc::channel(10);
    let running = Child::spawn(in_folder("echo $$; exec sleep 1000"), tx.clone())
        .await
        .unwrap();
    let program = pid_line!(rx);
    let starting = Child::spawn(in_folder("echo $$ > pid; exec sleep 1000"), tx);
    assert!(starting.now_or_never().is_none());
    drop(running);
    keeper.all_gone().await;
    assert!(!alive(program));
    let started = std::fs::read_to_string(folder.path().join("pid")).ok();
    let started = started.and_then(|pid| pid.trim().parse().ok());
    assert!(!started.is_some_and(alive));
}

#[tokio::test]
async fn a_flood_that_nobody_reads_does_not_hide_the_end() {
    let (tx, rx) = mpsc::channel(1);
    let child = Child::spawn(spec("yes & sleep 0.3; exit 5"), tx).await.unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(15), child.wait())
        .await
        .expect("the end is not hidden");
    assert_eq!(exit.code, Some(5));
    drop(rx);
}

#[tokio::test]
async fn every_line_of_a_flood_arrives() {
    let (tx, mut rx) = mpsc::channel(4);
    let child = Child::spawn(spec("seq 1 200000"), tx).await.unwrap();
    let mut last = 0_u32;
    while let Some(line) = rx.recv().await {
        let number: u32 = line.text.parse().unwrap();
        assert_eq!(number, last + 1);
        last = number;
    }
    assert_eq!(last, 200_000);
    assert!(child.wait().await.success());
}

/// The agent's death by SIGKILL, played by a shell that holds the keeper's standard input.
#[tokio::test]
async fn the_death_of_the_keepers_parent_kills_the_tree() {
    let keeper = env!("CARGO_BIN_EXE_agent");
    let mut keep = Command::new(keeper)
        .args([
            "keep",
            "--grouped",
            "--",
            "/bin/sh",
            "-c",
            &format!("{DAEMON}; trap '' TERM INT HUP; sleep 1000"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keep.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let daemon: i32 = line.trim().parse().unwrap();
    let group = groups::can_be_made().then(|| groups::of(daemon));
    assert!(group.iter().all(|group| groups::is_keepers(group)));
    let mut input = keep.stdin.take().unwrap();
    input.write_all(b"term\n").unwrap();
    assert!(alive(daemon));
    drop(input);
    eventually("keeper and daemon gone", || {
        !alive(daemon) && keep.try_wait().unwrap().is_some()
    })
    .await;
    assert!(!group.is_some_and(|group| group.exists()));
}

#[tokio::test]
async fn a_signal_to_the_keeper_is_ignored_and_the_status_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let status = folder.path().join("status.json");
    let mut keep = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args([
            "keep",
            "--status",
            status.to_str().unwrap(),
            "--",
            "/bin/sh",
            "-c",
            "echo up; sleep 0.5; exit 4",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let held = keep.stdin.take();
    let mut line = String::new();
    BufReader::new(keep.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(keep.id()).unwrap());
    for signal in [
        nix::sys::signal::SIGINT,
        nix::sys::signal::SIGTERM,
        nix::sys::signal::SIGHUP,
    ] {
        nix::sys::signal::kill(pid, signal).unwrap();
    }
    assert_eq!(keep.wait().unwrap().code(), Some(1));
    drop(held);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&status).unwrap()).unwrap();
    assert_eq!(json["code"], 4);
}
