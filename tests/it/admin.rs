//! `/live`, `/ready`, `/metrics` and `/status` of both programs, in each state that they can be in.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use mayfly_tests::http::{self, Page, Request};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, Serve, programs, slots};
use serde_json::{Value, json};

use crate::transport::launch::node_json;
use crate::transport::ports::listening_of;

/// Of a node's pages.
const NODE: u16 = 9464;

fn page(at: SocketAddr, path: &str) -> Page {
    http::try_get(at, path).unwrap_or_else(|| panic!("no answer from http://{at}{path}"))
}

fn says(at: SocketAddr, path: &str) -> (u16, String) {
    let page = page(at, path);
    (page.status, page.body)
}

fn well(what: &str) -> (u16, String) {
    (200, format!("{what}\n"))
}

/// The loops of `/status`, and what each of them does; every line is one of a loop.
fn loops(at: SocketAddr) -> Vec<(String, String)> {
    let page = http::get(at, "/status");
    let lines = page.body.lines().map(|line| {
        let (head, what) = line
            .split_once(" s ago  ")
            .unwrap_or_else(|| panic!("no loop's line: {line:?}"));
        let (name, age) = head.rsplit_once(' ').unwrap();
        age.parse::<u64>().unwrap_or_else(|_| panic!("no age: {line:?}"));
        (name.trim().to_owned(), what.to_owned())
    });
    lines.collect()
}

fn names(at: SocketAddr) -> BTreeSet<String> {
    loops(at).into_iter().map(|(name, _)| name).collect()
}

fn what_it_does(at: SocketAddr, name: &str) -> Option<String> {
    loops(at)
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, what)| what)
}

/// What is the same in every state.
fn assert_always(at: SocketAddr, program: &str) {
    assert_eq!(says(at, "/live"), well("live"));
    let metrics = page(at, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.kind.starts_with("text/plain; version=0.0.4"),
        "{}",
        metrics.kind
    );
    let info = format!("mayfly_build_info{{program=\"{program}\",version=");
    assert!(metrics.body.contains(&info), "{info} is not in {}", metrics.body);
    for path in ["/", "/livez", "/status/x", "/metrics/../../etc/passwd"] {
        assert_eq!(page(at, path).status, 404, "{path}");
    }
    for path in ["/live", "/ready", "/metrics", "/status"] {
        let request = Request {
            method: "POST",
            ..Request::get(path)
        };
        assert_eq!(request.send(at).unwrap().status, 405, "POST {path}");
    }
}

/// Nobody answers at the same port of other addresses of this machine.
fn assert_only_there(at: SocketAddr) {
    for other in [[127, 0, 0, 9], [127, 251, 9, 9]] {
        let other = SocketAddr::from((other, at.port()));
        assert!(
            TcpStream::connect(other).is_err(),
            "{at} is bound beyond its address"
        );
    }
}

fn pages_of(run: &Run<'_>, node: &str) -> SocketAddr {
    let address = node_json(run, node)["address"].as_str().unwrap().parse().unwrap();
    SocketAddr::new(address, NODE)
}

#[test]
fn of_a_server_and_its_nodes_from_the_first_answer_to_the_death_of_the_server() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let mut serve = Serve::start(&home);
    let at: SocketAddr = serve.admin.parse().unwrap();
    assert_eq!(at.ip(), Ipv4Addr::LOCALHOST, "what the settings say by default");
    assert_always(at, "coordinator");
    assert_only_there(at);
    assert_eq!(says(at, "/ready"), well("ready"));
    assert_eq!(names(at), BTreeSet::from(["runs".to_owned()]));

    // The master prepares, which takes as long as the test wants, while the worker is ready.
    let gate = home.gate();
    let build = format!(
        "touch {0}/builds; while [ ! -e {0}/built ]; do sleep 0.05; done",
        gate.display()
    );
    let job = Job::at_gate("pages", &home, &repo, "light.py").args(&["-a"]);
    let job = job.set("code.build", json!(["sh", "-c", build]));
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the build", secs(120), || home.heard("builds"));
    let (master, worker) = (pages_of(&run, "master-1"), pages_of(&run, "worker-1"));
    assert_eq!(says(master, "/ready"), (503, "waiting for: ready\n".to_owned()));
    assert_always(master, "agent");
    assert_only_there(master);
    launch.until("the worker to be ready", secs(60), || {
        (says(worker, "/ready") == well("ready")).then_some(())
    });
    for node in [master, worker] {
        let expected = ["carry", "logs", "node", "push", "results", "sync", "usage"].map(str::to_owned);
        assert_eq!(names(node), BTreeSet::from(expected));
    }
    launch.until("the run's own line", secs(30), || {
        what_it_does(at, run.id.as_str()).filter(|what| what == "forming, attempt 1, nodes 2")
    });

    home.tell("built");
    launch.until("the job", secs(60), || home.heard("works-a-1"));
    assert_eq!(says(master, "/ready"), well("ready"));
    launch.until("the run to be shown as working", secs(30), || {
        what_it_does(at, run.id.as_str()).filter(|what| what == "working, attempt 1, nodes 2")
    });
    launch.until("the count of runs", secs(30), || {
        what_it_does(at, "runs").filter(|what| what == "1 open, 0 closed")
    });

    // A node without its coordinator is alive and ready all the same, and says what is wrong.
    serve.kill();
    wait::until("the node to miss its coordinator", secs(30), || {
        what_it_does(master, "sync").filter(|what| what.starts_with("no answer"))
    });
    assert_eq!(says(master, "/live"), well("live"));
    assert_eq!(says(master, "/ready"), well("ready"));
    assert!(
        http::try_get(at, "/live").is_none(),
        "somebody answers for a dead server"
    );

    serve.again(&home);
    let at: SocketAddr = serve.admin.parse().unwrap();
    assert_eq!(says(at, "/ready"), well("ready"));
    home.tell("go-a");
    launch.wait(secs(90)).exited(0);
    run.assert_closed("succeeded");
    wait::until("the line of the run to go", secs(30), || {
        what_it_does(at, run.id.as_str()).is_none().then_some(())
    });
    assert_eq!(says(at, "/live"), well("live"));
}

/// A command whose job works.
fn working<'h>(home: &'h Home, repo: &Repo) -> (Launch, Run<'h>) {
    let job = Job::at_gate("pages", home, repo, "light.py").args(&["-a"]);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(120), || home.heard("works-a-1"));
    (launch, run)
}

#[test]
fn of_a_command_that_is_its_own_coordinator_on_loopback_alone() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = working(&home, &repo);
    let pid = i32::try_from(launch.pid()).unwrap();
    let listening = listening_of([pid]);
    assert!(
        listening.iter().all(|at| at.ip() == Ipv4Addr::LOCALHOST),
        "{listening:?}"
    );
    let pages: Vec<SocketAddr> = listening.into_iter().filter(|&at| is_admin(at)).collect();
    let [at] = pages[..] else {
        panic!("admin pages at {pages:?}")
    };
    assert_always(at, "coordinator");
    assert_eq!(says(at, "/ready"), well("ready"));
    assert_eq!(names(at), BTreeSet::from(["runs".to_owned(), run.id.to_string()]));
    home.tell("go-a");
    launch.wait(secs(90)).exited(0);
    assert!(
        http::try_get(at, "/live").is_none(),
        "somebody answers after the command's end"
    );
}

fn is_admin(at: SocketAddr) -> bool {
    http::try_get(at, "/live").is_some_and(|page| (page.status, page.body) == well("live"))
}

#[test]
fn of_an_agent_that_nobody_has_taken_in() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let (mut launch, run) = working(&home, &repo);
    // It takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut agent = agent_of(&home, &run, silent.local_addr().unwrap());
    let at = SocketAddr::from(([127, 251, 8, 1], NODE));
    agent.until("the agent's pages", secs(30), || http::try_get(at, "/live"));
    assert_eq!(
        says(at, "/ready"),
        (503, "waiting for: enrolled, ready\n".to_owned())
    );
    assert_always(at, "agent");
    assert_only_there(at);
    agent.kill();
    home.tell("go-a");
    launch.wait(secs(90)).exited(0);
}

/// An agent at an address of its own, which asks there to be taken in.
fn agent_of(home: &Home, run: &Run<'_>, coordinator: SocketAddr) -> Launch {
    let folder = home.scratch("stranger");
    std::fs::create_dir_all(&folder).unwrap();
    let mut config: Value = node_json(run, "worker-1");
    for (key, value) in [
        ("address", json!("127.251.8.1")),
        ("coordinator", json!(format!("http://{coordinator}"))),
        ("folder", json!(folder)),
        ("shared", json!(folder.join("shared"))),
        ("alone_secs", json!(120)),
    ] {
        config[key] = value;
    }
    let path = folder.join("node.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut command = Command::new(programs::path("agent"));
    command.args(["run", "--config"]).arg(path).current_dir(&folder);
    home.start(&mut command)
}
