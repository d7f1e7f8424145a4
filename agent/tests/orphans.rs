//! A keeper that is killed. A test program of its own: the sweep takes every child of this process that is no keeper.

mod groups;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mayfly_agent::proctree::{Snapshot, kill_all};
use mayfly_agent::supervise::{Child, Spec, Stream, become_subreaper};
use tokio::sync::mpsc;

#[tokio::test]
async fn what_a_killed_keeper_leaves_is_found_and_killed() {
    become_subreaper().unwrap();
    let spec = |script: &str| Spec {
        name: "test".into(),
        stream: Stream::Engine,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
        cwd: "/".into(),
        keeper: PathBuf::from(env!("CARGO_BIN_EXE_agent")).into(),
    };
    let (tx, mut rx) = mpsc::channel(10);
    let other = Child::spawn(spec("exec sleep 1000"), tx.clone()).await.unwrap();
    let killed = Child::spawn(
        spec("(setsid sh -c 'sleep 1000 & echo $!; wait' &); sleep 1000"),
        tx,
    )
    .await
    .unwrap();
    let daemon: i32 = rx.recv().await.unwrap().text.parse().unwrap();
    let me = i32::try_from(std::process::id()).unwrap();
    let program = i32::try_from(killed.pid()).unwrap();
    let group = groups::can_be_made().then(|| groups::of(program));
    assert!(group.iter().all(|group| groups::is_keepers(group)));
    let snapshot = Snapshot::take();
    let keeper = *snapshot
        .children(me)
        .iter()
        .find(|pid| snapshot.children(**pid).contains(&program))
        .unwrap();
    kill_all(&[keeper]);
    let exit = tokio::time::timeout(Duration::from_secs(20), killed.wait())
        .await
        .unwrap();
    assert_eq!(exit.signal, Some(9));
    let began = Instant::now();
    loop {
        let left = Snapshot::take().descendants(me);
        if !left.contains(&daemon) && !left.contains(&program) && left.len() == 2 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "left: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!group.is_some_and(|group| group.exists()));
    assert_eq!(other.exited(), None);
    other.kill().await;
}
