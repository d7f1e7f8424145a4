//! Real groups where this machine lets these tests make some; those tests do nothing elsewhere.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;

/// Leaves one daemon after another, each of a session and a parent of its own, as fast as it can.
const BOMB: &str = "while :; do (setsid sleep 1000 &); done";

/// It goes there itself: this process, which runs other tests too, must not.
fn within(group: &Group, script: &str) -> Child {
    let script = format!("echo 0 > {}/{PROCS}; {script}", group.path.display());
    Command::new("sh").args(["-c", &script]).spawn().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_forks_for_ever_ends_at_once_and_the_folder_is_gone() {
    for kill in [Group::kill, Group::kill_each] {
        let Some(group) = Group::make() else { return };
        let mut bomb = within(&group, BOMB);
        // One that the program has made itself is ended with it.
        let below = group.path.join("below");
        fs::create_dir(&below).unwrap();
        eventually("daemons", || pids(&group.path).len() > 10);
        put(&below.join(PROCS), bomb.id()).unwrap();
        eventually("an end", || {
            kill(&group);
            group.remove()
        });
        assert!(!group.path.exists());
        assert!(!bomb.wait().unwrap().success());
    }
}

#[test]
fn a_group_without_its_keeper_is_swept_and_no_other() {
    let (Some(held), Some(left)) = (Group::make(), Group::make()) else {
        return;
    };
    let (mut one, mut other) = (within(&held, "exec sleep 1000"), within(&left, "exec sleep 1000"));
    for group in [&held, &left] {
        eventually("a process", || !pids(&group.path).is_empty());
    }
    left._held.unlock().unwrap();
    eventually("a sweep", || !sweep() && !left.path.exists());
    assert!(one.try_wait().unwrap().is_none());
    assert!(!other.wait().unwrap().success());
    drop(held);
    assert!(!one.wait().unwrap().success());
}

/// Files as the kernel has them where it counts by group.
#[test]
fn tasks_are_bounded_and_kills_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of(folder.path().to_owned());
    let group = Group::make_at(&place).unwrap();
    assert_eq!(group.oom_kills(), 0);
    fs::write(
        group.path.join("memory.events"),
        "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
    )
    .unwrap();
    assert_eq!(group.oom_kills(), 2);
    let bound = group.path.join("pids.max");
    for (of_unit, of_group) in [("max\n", "unset"), ("800\n", "700et")] {
        fs::write(folder.path().join("pids.max"), of_unit).unwrap();
        fs::write(&bound, "unset").unwrap();
        group.leave_tasks(folder.path());
        assert_eq!(fs::read_to_string(&bound).unwrap(), of_group);
    }
    let _left = fs::remove_dir_all(&group.path);
}

#[test]
fn only_who_is_alone_and_is_offered_it_divides_a_group() {
    let me = std::process::id();
    for (offered, inside, divided) in [
        ("cpuset cpu io memory\n", format!("{me}\n"), true),
        ("cpuset cpu io\n", format!("{me}\n"), false),
        ("memory pids\n", format!("{me}\n1\n"), false),
    ] {
        let unit = tempfile::tempdir().unwrap();
        let below = unit.path().join(place::AGENT);
        fs::create_dir(&below).unwrap();
        for (file, text) in [
            (unit.path().join("cgroup.controllers"), offered),
            (unit.path().join(PROCS), &inside),
            (unit.path().join("cgroup.subtree_control"), ""),
            (below.join(PROCS), ""),
        ] {
            fs::write(file, text).unwrap();
        }
        settle_in(unit.path());
        let written = |file: PathBuf| fs::read_to_string(file).unwrap();
        let (moved, counts) = if divided { ("0", "+memory") } else { ("", "") };
        assert_eq!(written(below.join(PROCS)), moved, "{offered}{inside}");
        assert_eq!(
            written(unit.path().join("cgroup.subtree_control")),
            counts,
            "{offered}{inside}"
        );
    }
}
