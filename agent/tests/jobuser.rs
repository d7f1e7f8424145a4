//! A job that runs as a user of its own: what it may and what it may not. Needs root, and does nothing without.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not count as such"
)]

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mayfly_agent::guard;
use mayfly_agent::jobuser::JobUser;
use mayfly_agent::supervise::{Child, Exit, Keeper, Spec, Stream};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use tokio::sync::mpsc;

/// Nobody has it.
const UID: u32 = 64_321;

fn keeper() -> Keeper {
    let user = JobUser {
        name: "job".into(),
        uid: UID,
        gid: UID,
        home: "/nowhere".into(),
    };
    Keeper::new(PathBuf::from(env!("CARGO_BIN_EXE_agent")), Some(user))
}

/// A folder that others can get to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs a script as the job's user.
async fn job(cwd: &Path, script: &str) -> (Exit, Vec<String>) {
    let spec = Spec {
        name: "job".into(),
        stream: Stream::Job,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: cwd.into(),
        keeper: keeper(),
    };
    let (sender, mut lines) = mpsc::channel(100);
    let child = Child::spawn(spec, sender).await.unwrap();
    let exit = child.wait().await;
    let mut said = Vec::new();
    while let Some(line) = lines.recv().await {
        said.push(line.text);
    }
    (exit, said)
}

#[tokio::test]
async fn a_job_is_its_user_and_can_become_nobody_else() {
    if !getuid().is_root() {
        return;
    }
    let folder = folder();
    let script = "id -u; id -G; echo $HOME $USER; grep NoNewPrivs /proc/self/status";
    let (exit, said) = job(folder.path(), script).await;
    assert!(exit.success(), "{said:?}");
    let id = UID.to_string();
    assert_eq!(said, [id.as_str(), &id, "/nowhere job", "NoNewPrivs:\t1"]);
}

#[tokio::test]
async fn a_job_cannot_read_or_end_the_agent() {
    if !getuid().is_root() {
        return;
    }
    let folder = folder();
    let node = folder.path().join("node");
    std::fs::create_dir(&node).unwrap();
    keeper().open_folder(&node).unwrap();
    std::fs::write(node.join("logs/spool"), "secret").unwrap();
    let agent = std::process::id();
    for forbidden in [
        format!("cat /proc/{agent}/environ"),
        format!("cat /proc/{agent}/mem"),
        format!("kill -9 {agent}"),
        "kill -9 $PPID".into(),
        "cat logs/spool".into(),
        "mv logs away".into(),
        "touch ../mine".into(),
        "chmod 777 .".into(),
    ] {
        let (exit, said) = job(&node, &forbidden).await;
        assert!(!exit.success() && exit.code.is_some(), "{forbidden}: {said:?}");
    }
    let (exit, said) = job(&node, "mkdir code && echo x > code/main.py").await;
    assert!(exit.success(), "{said:?}");
}

#[test]
fn what_is_given_is_the_jobs_and_what_is_shown_is_the_agents() {
    if !getuid().is_root() {
        return;
    }
    let folder = folder();
    let (given, shown) = (folder.path().join("given"), folder.path().join("shown"));
    std::fs::create_dir(&given).unwrap();
    std::fs::write(&shown, "x").unwrap();
    keeper().give(&given).unwrap();
    keeper().show(&shown).unwrap();
    let (given, shown) = (given.metadata().unwrap(), shown.metadata().unwrap());
    assert_eq!((given.uid(), given.gid()), (UID, UID));
    assert_eq!((shown.uid(), shown.gid(), shown.mode() & 0o777), (0, UID, 0o440));
    let plain = Keeper::from(PathBuf::new());
    plain.give(folder.path()).unwrap();
    assert_eq!(folder.path().metadata().unwrap().uid(), 0);
}

/// In a network of its own: the namespace is this thread's.
#[test]
fn metadata_is_closed_to_the_job_and_open_to_the_agent() {
    let nft = Command::new("nft")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !getuid().is_root() || nft.is_err() {
        return;
    }
    let test = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        for args in [
            "link set lo up",
            "address add 169.254.169.254/32 dev lo",
            "-6 address add fd00:ec2::254/128 dev lo",
        ] {
            let done = Command::new("ip").args(args.split(' ')).status().unwrap();
            assert!(done.success() || args.starts_with("-6"), "ip {args}");
        }
        let metadata = TcpListener::bind("169.254.169.254:80").unwrap();
        let other = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let other = TcpListener::bind(("127.0.0.1", other)).unwrap();
        let asks = |uid: u32, address: &str, port: u16| {
            let script = format!("exec 3<>/dev/tcp/{address}/{port}");
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]).uid(uid).gid(uid).stderr(Stdio::null());
            bash.status().unwrap().success()
        };
        assert!(asks(UID, "169.254.169.254", 80), "open before");
        for _ in 0..2 {
            guard::close(UID, None).unwrap();
        }
        assert!(!asks(UID, "169.254.169.254", 80), "closed to the job");
        assert!(asks(0, "169.254.169.254", 80), "open to the agent");
        let port = other.local_addr().unwrap().port();
        assert!(asks(UID, "127.0.0.1", port), "nothing else is closed");
        guard::close(UID, "127.0.0.1".parse().ok()).unwrap();
        assert!(!asks(UID, "127.0.0.1", port));
        if let Ok(six) = TcpListener::bind("[fd00:ec2::254]:80") {
            assert!(asks(0, "fd00:ec2::254", 80) && !asks(UID, "fd00:ec2::254", 80));
            drop(six);
        }
        drop((metadata, other));
    };
    std::thread::spawn(test).join().unwrap();
}
