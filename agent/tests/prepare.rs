//! The toolchain in the user's cache, and environments over it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mayfly_agent::command::Command;
use mayfly_agent::prepare::Kind;
use mayfly_agent::python::{self, bin_folder};
use mayfly_agent::supervise::Keeper;
use mayfly_agent::toolchain::{self, Request};
use tokio::sync::mpsc;

fn request() -> Request {
    let keeper = PathBuf::from(env!("CARGO_BIN_EXE_agent"));
    Request {
        cache: toolchain::default_cache(),
        spark: toolchain::SPARK_VERSION.into(),
        keeper: keeper.into(),
    }
}

#[tokio::test]
async fn what_is_there_is_found_at_once_also_by_two() {
    let first = toolchain::ensure(&request(), |_| {}).await.unwrap();
    let began = Instant::now();
    let (a, b) = (request(), request());
    let (a, b) = tokio::join!(
        toolchain::ensure(&a, |step| panic!("{step:?}")),
        toolchain::ensure(&b, |step| panic!("{step:?}"))
    );
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((a.unwrap(), b.unwrap()), (first.clone(), first));
}

#[tokio::test]
async fn a_version_that_is_none_is_refused() {
    let request = Request {
        spark: "4.0; rm".into(),
        ..request()
    };
    let error = toolchain::ensure(&request, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("4.0; rm"), "{error}");
}

#[tokio::test]
async fn requirements_are_installed_over_the_base_and_a_bad_one_is_named() {
    let base = toolchain::ensure(&request(), |_| {}).await.unwrap().python;
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("code");
    std::fs::create_dir(&code).unwrap();
    std::fs::write(code.join("bad.txt"), "--no-index\nno-such-package-of-ours==1\n").unwrap();
    let (lines, _kept) = mpsc::channel(1000);
    let keeper = Keeper::from(PathBuf::from(env!("CARGO_BIN_EXE_agent")));
    let wants = |requirements: &str| python::Request {
        base: base.clone(),
        under: Vec::new(),
        folder: folder.path().into(),
        code: code.clone(),
        requirements: requirements.into(),
        keeper: keeper.clone(),
        lines: lines.clone(),
    };
    assert_eq!(python::prepare(&wants("")).await.unwrap(), base);
    for (name, says) in [
        ("bad.txt", "no-such-package-of-ours"),
        ("missing.txt", "do not exist"),
        ("../../../../../../etc/passwd", "not a file of the repository"),
    ] {
        let error = python::prepare(&wants(name)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Job);
        assert!(error.message.contains(says), "{error}");
    }
    // Nobody is at this port.
    let closed = "--index-url http://127.0.0.1:1/simple\nno-such-package-of-ours==1\n";
    std::fs::write(code.join("closed.txt"), closed).unwrap();
    let error = python::prepare(&wants("closed.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Infra, "{error}");
    let says = "closed.txt cannot be installed: no package index answers (Connection refused)";
    assert!(
        error.message.contains(says) && !error.message.contains('\n'),
        "{error}"
    );
    std::fs::write(code.join("good.txt"), "--no-index\nnumpy\npandas\n").unwrap();
    let own = python::prepare(&wants("good.txt")).await.unwrap();
    assert_eq!(own, bin_folder(folder.path()).join("python3"));
    let script = "import sys, pyspark, numpy; print(sys.prefix)";
    let done = Command::new(&keeper, &own, ["-c", script], folder.path())
        .run(Duration::from_secs(60), |_| {})
        .await;
    let done = done.unwrap();
    assert!(done.success(), "{done:?}");
    assert_eq!(done.last_line(), folder.path().join("python").to_str().unwrap());
}
