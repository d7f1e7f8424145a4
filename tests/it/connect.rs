//! A cluster that is held for somebody's notebook: the engine is used from here, through the coordinator, until it is told or
//! idle.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Launch, Repo, Serve, http, programs, slots};
use nix::sys::signal::Signal;

/// What a notebook does; its last line is printed when everything was right.
const NOTEBOOK: &str = r#"
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

def session(url):
    return SparkSession.builder.remote(url).create()

url = sys.argv[1]
spark = session(url)
assert spark.range(1000).selectExpr("sum(id) total").collect()[0].total == 499500
twice = udf(lambda number: number * 2, "long")
assert spark.range(10).select(twice("id").alias("x")).toPandas().x.sum() == 90
# More than one piece of the tunnel.
assert len(spark.range(1_000_000).toPandas()) == 1_000_000
try:
    session(url.split("token=")[0] + "token=another").range(1).collect()
    sys.exit("anybody may come in")
except Exception as refused:
    assert "UNAUTHENTICATED" in str(refused), refused
print("all of it")
"#;

/// The address that it prints once the session is there.
fn address(connect: &Launch, scheme: &str) -> String {
    wait::until("the address of the session", secs(60), || {
        let said = connect.stderr();
        let line = said.lines().find(|line| line.starts_with("session  "))?;
        let url = line.split_whitespace().nth(1)?;
        assert!(url.starts_with(scheme), "{line}");
        Some(url.to_owned())
    })
}

#[test]
fn a_notebook_uses_spark_through_a_server() {
    let _slot = slots::take();
    let client = programs::tool("spark-client");
    let (home, of_somebody) = (Home::new(), Home::new());
    let serve = Serve::start(&home);
    let mut connect = of_somebody.start(&mut serve.command(&of_somebody, &["connect", "--workers", "2"]));
    let url = address(&connect, "sc://localhost:");
    let notebook = of_somebody.scratch("notebook.py");
    fs::write(&notebook, NOTEBOOK).unwrap();
    let said = programs::must(Command::new(client).arg(notebook).arg(&url));
    assert_eq!(said.trim(), "all of it");
    connect.signal(Signal::SIGINT);
    let ended = connect.wait(secs(60));
    ended.exited(0).said("ending the session").said("nothing is left");
    let [id] = &home.runs()[..] else {
        panic!("one run, not {:?}", home.runs())
    };
    let run = home.run(id);
    run.assert_closed("succeeded");
    let receipt = run.receipt();
    assert!(
        receipt["account"]["spark"]["tasks"].as_u64() > Some(0),
        "the session is in the event log: {receipt:#}"
    );
    let token = url.rsplit('=').next().unwrap();
    assert!(!run.record().unwrap().to_string().contains(token));
    serve.stop().exited(0);
}

const ENGINE: &str = r#"
about: A web server that shows the results folder.
workers: false
ports: {web: 8899}
jobs:
  .py: ["{python}", "{entry}"]
  session: {run: ["{python}", -m, http.server, --bind, "{node.address}", --directory, "{results}", "{ports.web}"],
            port: web, url: "http://localhost:{port}/"}
"#;

#[test]
fn nobody_uses_it_and_it_ends() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    fs::create_dir_all(home.scratch("engines")).unwrap();
    fs::write(home.scratch("engines/web.yml"), ENGINE).unwrap();
    let args = [
        "connect",
        "--engine",
        "web",
        "--repo",
        &repo.url(),
        "--idle",
        "10s",
    ];
    let mut connect = home.start(&mut home.command(&args));
    let url = address(&connect, "http://localhost:");
    let port: u16 = url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let page = http::get((Ipv4Addr::LOCALHOST, port).into(), "/");
    assert!(page.body.contains("Directory listing"), "{page:?}");
    // Nothing more is asked of it.
    connect.wait(secs(30)).exited(0).said("nothing is left");
    let run = home.run(&home.runs()[0]);
    run.assert_closed("succeeded");
    let said = run.output(&[]);
    assert!(said.contains("nobody has used it"), "{said}");
}

#[test]
fn a_session_that_cannot_be_is_refused_before_anything_starts() {
    let home = Home::light();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    for (args, says) in [
        (&["--engine", "mpi"][..], "the engine `mpi` knows no sessions"),
        (&["--detach"], "--detach: a session is used through this command"),
        (&["--on", "aws"], "name a server with --coordinator"),
        (&["--idle", "5s"], "it is 10 s at least"),
        (&["--entry", "main.py"], "a session runs no program of yours"),
        (&["--port", &taken], "cannot listen at 127.0.0.1:"),
    ] {
        let ended = home
            .start(&mut home.command(&[&["connect"], args].concat()))
            .wait(secs(20));
        ended.exited(2).said(says);
    }
    home.assert_no_run();
}
