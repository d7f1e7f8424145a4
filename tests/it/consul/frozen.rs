//! faults.md 62: a node that was elected is paused for so long that another one is the master, and wakes up.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use mayfly_agent::commit::{self, Committed, Request};
use mayfly_agent::config::NodeConfig;
use mayfly_kit::consul::ConsulSettings;
use mayfly_kit::records::{Manifest, SCHEMA};
use mayfly_kit::store::Store;
use mayfly_proto::Attempt;
use mayfly_tests::procs;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Consul, Home, Job, Launch, Repo, Run, Serve, programs, slots};
use nix::sys::signal::Signal;

use super::election::{alike, ask, holder, sessions};

/// A node of the run whose machine the coordinator's cloud does not know, and cannot end.
const OUTSIDE: &str = "node-9";

/// Says on which node an attempt works; each ends at a word of its own.
const PROGRAM: &str = r#"
import os, pathlib, time
gate, attempt = pathlib.Path(os.environ["GATE"]), os.environ["MAYFLY_ATTEMPT"]
pathlib.Path(os.environ["MAYFLY_RESULTS"], f"of-{attempt}.txt").write_text(attempt)
part = gate / f".works-{attempt}"
part.write_text(os.environ["MAYFLY_NODE"])
part.rename(gate / f"works-{attempt}")
while not (gate / f"go-{attempt}").exists():
    time.sleep(0.05)
(gate / f"ends-{attempt}").touch()
"#;

struct Outside {
    agent: Child,
    config: NodeConfig,
}

impl Outside {
    /// Starts it with what another node was told, and with a Consul of its own.
    fn join(home: &Home, run: &Run<'_>, consul: &Consul) -> Self {
        let told = run.node("node-1").join("node.json");
        let told = wait::until("a node's configuration", secs(60), || fs::read(&told).ok());
        let folder = home.scratch(OUTSIDE);
        fs::create_dir(&folder).unwrap();
        let [_, _, low, high] = std::process::id().to_be_bytes();
        let config = NodeConfig {
            machine_id: OUTSIDE.into(),
            address: format!("127.17.{low}.{}", high.max(1)).parse().unwrap(),
            folder: folder.clone(),
            consul: Some(ConsulSettings::at(consul.url())),
            ..serde_json::from_slice(&told).unwrap()
        };
        let file = folder.join("node.json");
        fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let log = fs::File::create(folder.join("agent.log")).unwrap();
        let agent = Command::new(programs::path("agent"))
            .args(["run", "--config"])
            .arg(&file)
            .env("MAYFLY_RUN", run.id.as_str())
            .env("MAYFLY_NODE", OUTSIDE)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { agent, config }
    }

    /// To all of its processes: the agent, its keepers, the engine and the job.
    fn signal(run: &Run<'_>, signal: Signal) {
        let all = procs::of(&run.id).into_iter();
        all.filter(|process| process.node == OUTSIDE)
            .for_each(|process| process.signal(signal));
    }

    /// What becomes of the commit of its attempt, if it had been told to write it just before it was paused.
    fn commits(&self) -> Committed {
        let node = OUTSIDE.parse().unwrap();
        let attempt = Attempt::FIRST;
        let manifest = Manifest {
            schema: SCHEMA,
            node,
            attempt,
            files: Vec::new(),
            skipped: Vec::new(),
        };
        let request = Request {
            run: self.config.run.clone(),
            attempt,
            nodes: vec![manifest.node.clone()],
            exit_code: Some(0),
            cause: String::new(),
            steps: Vec::new(),
        };
        let store = Store::open(&self.config.store);
        ask(async {
            commit::write_manifest(&store, &request.run, &manifest)
                .await
                .unwrap();
            commit::commit(&store, &request).await.unwrap()
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.config.folder.join("agent.log")).unwrap_or_default()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {OUTSIDE}\n{}", self.log());
        }
        // Its keepers end what it had started.
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

/// The node on which an attempt works.
fn works(home: &Home, launch: &mut Launch, attempt: u32) -> String {
    let word = format!("works-{attempt}");
    launch.until(&word, secs(120), || home.heard(&word))
}

#[test]
fn a_master_that_was_paused_until_there_is_another_one_changes_nothing() {
    let _slot = slots::take();
    // The nodes of the coordinator's cloud have a Consul that is not there yet: the first election has one candidate.
    let (first, mut next) = (Consul::dev(), Consul::absent());
    let (home, repo) = (Home::light(), Repo::of(&[("main.py", PROGRAM)]));
    let serve = Serve::start_with(&home, &["--consul", &next.url()]);
    let job: Job = alike("frozen", &home, &repo, "main.py").set("limits.retries", 1);
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    let mut outside = Outside::join(&home, &run, &first);
    assert_eq!(works(&home, &mut launch, 1), OUTSIDE, "it was not elected");
    assert_eq!(holder(&first, &run, 1).as_deref(), Some(OUTSIDE));

    Outside::signal(&run, Signal::SIGSTOP);
    next.start();
    let master = works(&home, &mut launch, 2);
    assert_ne!(master, OUTSIDE);
    assert_eq!(holder(&next, &run, 2), Some(master));
    launch.until("the end of its session and of its lock", secs(60), || {
        (sessions(&first).is_empty() && holder(&first, &run, 1).is_none()).then_some(())
    });
    assert_eq!(
        outside.agent.try_wait().unwrap(),
        None,
        "it was ended, and not paused"
    );

    // Its job ends as soon as it wakes up, and it has a commit to make.
    home.tell("go-1");
    Outside::signal(&run, Signal::SIGCONT);
    assert_eq!(outside.commits(), Committed::GivenUp);
    // It is told that its attempt is over, and works for the other one.
    launch.until("it to be a worker", secs(60), || {
        let workers = first.instances("mayfly-worker");
        let [own] = &workers[..] else { return None };
        (own["Service"]["Tags"][3] == "attempt=2").then_some(())
    });
    assert!(first.instances("mayfly-master").is_empty());
    assert!(run.commit().is_none(), "there is a commit while attempt 2 works");

    home.tell("go-2");
    launch.wait(secs(60)).exited(0).said("node-9 is lost");
    wait::until("the end of the record", secs(30), || {
        (run.phase() == "closed").then_some(())
    });
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["attempts"], 2);
    let commit = run.commit().expect("a commit");
    assert_eq!(commit.attempt.number(), 2);
    let files: Vec<&str> = commit.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["of-2.txt"]);
    serve.stop().exited(0);
}
