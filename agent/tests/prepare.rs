//! The toolchain in the user's cache, and environments over it.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mayfly_agent::command::Command;
use mayfly_agent::prepare::{Kind, PrepareError};
use mayfly_agent::python::{self, bin_folder, choice};
use mayfly_agent::supervise::Keeper;
use mayfly_agent::toolchain::{self, Request, Toolchain};
use tokio::sync::mpsc;

fn request() -> Request {
    let keeper = PathBuf::from(env!("CARGO_BIN_EXE_agent"));
    Request {
        cache: toolchain::default_cache(),
        spark: toolchain::SPARK_VERSION.into(),
        python: String::new(),
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
    fs::create_dir(&code).unwrap();
    fs::write(code.join("bad.txt"), "--no-index\nno-such-package-of-ours==1\n").unwrap();
    let (lines, _kept) = mpsc::channel(1000);
    let keeper = Keeper::from(PathBuf::from(env!("CARGO_BIN_EXE_agent")));
    let wants = |requirements: &str| python::Request {
        base: base.clone(),
        own: false,
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
    fs::write(code.join("closed.txt"), closed).unwrap();
    let error = python::prepare(&wants("closed.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Infra, "{error}");
    let says = "closed.txt cannot be installed: no package index answers (Connection refused)";
    assert!(
        error.message.contains(says) && !error.message.contains('\n'),
        "{error}"
    );
    fs::write(code.join("good.txt"), "--no-index\nnumpy\npandas\n").unwrap();
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

/// Builds a wheel of one module that wants numpy, without a tool from anywhere.
const MAKE: &str = r#"
import os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, info = "churn-1.0-py3-none-any.whl", "churn-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.write("churn.py")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: churn\nVersion: 1.0\nRequires-Dist: WANTED\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return name
"#;
const PROJECT: &str = "[build-system]\nrequires = []\nbuild-backend = \"make\"\nbackend-path = [\".\"]\n\
                       [project]\nname = \"churn\"\nversion = \"1.0\"\n";

#[tokio::test]
async fn a_repository_is_installed_with_what_it_depends_on_and_a_build_that_fails_says_why() {
    let base = toolchain::ensure(&request(), |_| {}).await.unwrap().python;
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("pyproject.toml"), PROJECT).unwrap();
    fs::write(code.join("churn.py"), "RATE = 0.25\n").unwrap();
    let keeper = Keeper::from(PathBuf::from(env!("CARGO_BIN_EXE_agent")));
    let request = python::Request {
        base,
        own: false,
        under: Vec::new(),
        folder: folder.path().into(),
        code: code.clone(),
        requirements: "pyproject.toml".into(),
        keeper: keeper.clone(),
        lines: mpsc::channel(1000).0,
    };
    fs::write(code.join("make.py"), MAKE.replace("WANTED", "numpy")).unwrap();
    let own = python::prepare(&request).await.unwrap();
    let script = "import churn, numpy; print(churn.RATE, churn.__file__)";
    let done = Command::new(&keeper, &own, ["-c", script], folder.path())
        .run(Duration::from_secs(60), |_| {})
        .await;
    let done = done.unwrap();
    assert!(
        done.success() && done.last_line().starts_with("0.25 "),
        "{done:?}"
    );
    assert!(
        done.last_line().contains("/site-packages/"),
        "not installed: {done:?}"
    );
    for (make, says) in [
        (
            MAKE.replace(
                "WANTED",
                "no-such-package-of-ours @ file:///nowhere/none-1-py3-none-any.whl",
            ),
            "/nowhere/none-1-py3-none-any.whl",
        ),
        (
            "def build_wheel(*_):\n    raise RuntimeError('no compiler')\n".into(),
            "its build says: RuntimeError: no compiler",
        ),
    ] {
        fs::write(code.join("make.py"), make).unwrap();
        let error = python::prepare(&request).await.unwrap_err();
        assert_eq!(error.kind, Kind::Job, "{error}");
        let names = error.message.starts_with("pyproject.toml cannot be installed: ");
        assert!(names && error.message.contains(says), "{error}");
    }
}

/// Says that it is Python 3.`minor`, makes environments of its like, and notes what pip is told.
fn fake(file: &Path, minor: u32, complete: bool) {
    let script = format!(
        "#!/bin/sh\ncase \"$1 $2\" in\n\
         '-c '*) printf 'version 3 {minor}\\nprogram %s\\n' \"$0\"; {complete} && echo complete;;\n\
         '-m venv') for venv; do :; done; mkdir -p $venv/bin $venv/lib/python3.{minor}/site-packages; cp $0 $venv/bin/python3;;\n\
         '-m pip') echo \"$@\" >> ${{0%/bin/*}}/pip.txt;;\n\
         esac\n"
    );
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, script).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A machine with Spark 4.0.5 over Python 3.11, and others on its `PATH`.
struct Machine {
    scratch: tempfile::TempDir,
    toolchain: Toolchain,
    keeper: Keeper,
}

impl Machine {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let base = scratch.path().join("cache/base");
        fake(&base.join("bin/python3"), 11, true);
        let site = base.join("lib/python3.11/site-packages");
        for name in ["pyspark/jars", "pyspark-4.0.5.dist-info", "py4j", "numpy"] {
            fs::create_dir_all(site.join(name)).unwrap();
        }
        fs::create_dir_all(scratch.path().join("node")).unwrap();
        Self {
            toolchain: Toolchain {
                spark_home: site.join("pyspark"),
                spark_version: "4.0.5".into(),
                scala_version: "2.13".into(),
                java: "/nowhere/bin/java".into(),
                python: base.join("bin/python3"),
                cds_archive: None,
            },
            keeper: PathBuf::from(env!("CARGO_BIN_EXE_agent")).into(),
            scratch,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    async fn python(&self, named: &str) -> Result<PathBuf, PrepareError> {
        let folders = ["shims", "one", "two", "nowhere"].map(|name| self.at(name));
        choice::base(&choice::Wanted {
            named,
            toolchain: &self.toolchain,
            path: std::env::join_paths(folders).unwrap(),
            folder: &self.at("node"),
            keeper: &self.keeper,
            lines: &mpsc::channel(100).0,
        })
        .await
    }
}

#[tokio::test]
async fn a_python_that_a_job_names_has_what_every_job_finds_and_is_made_once() {
    let machine = Machine::new();
    let own = machine.toolchain.python.clone();
    for name in ["", "3.11", "python3.11", own.to_str().unwrap()] {
        assert_eq!(machine.python(name).await.unwrap(), own, "{name:?}");
    }
    // What a version manager leaves on the PATH where it has none; another version; and one that environments cannot be
    // made with.
    fs::create_dir(machine.at("shims")).unwrap();
    fs::write(machine.at("shims/python3.12"), "#!/bin/sh\nexit 127\n").unwrap();
    fake(&machine.at("one/python3"), 10, true);
    fake(&machine.at("one/python3.12"), 12, false);
    fake(&machine.at("two/python3.12"), 12, true);
    let python = machine.python("3.12").await.unwrap();
    assert_ne!(python, own, "the machine's own is taken");
    let venv = python.ancestors().nth(2).unwrap();
    let name = venv.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("python-3.12-"), "another one is taken: {name}");
    assert_eq!(
        venv.parent().unwrap(),
        machine.at("cache"),
        "not beside the machine's own"
    );
    let told = fs::read_to_string(venv.join("pip.txt")).unwrap();
    assert!(
        told.contains("--only-binary=:all: -r") && told.lines().count() == 1,
        "{told}"
    );
    let list = fs::read_to_string(venv.join("base-requirements.txt")).unwrap();
    assert!(list.contains("\nnumpy==2."), "{list}");
    let site = venv.join("lib/python3.12/site-packages");
    for (name, there) in [
        ("pyspark/jars", true),
        ("pyspark-4.0.5.dist-info", true),
        ("py4j", true),
        ("numpy", false),
    ] {
        assert_eq!(site.join(name).exists(), there, "{name}");
    }
    let path = machine.at("two/python3.12");
    for again in ["python3.12", path.to_str().unwrap()] {
        assert_eq!(machine.python(again).await.unwrap(), python, "{again}");
    }
    assert_eq!(
        fs::read_to_string(venv.join("pip.txt")).unwrap(),
        told,
        "installed again"
    );
    // The node's own is over it, though the job has no requirements: daemons look for it there.
    let request = python::Request {
        base: python.clone(),
        own: true,
        under: Vec::new(),
        folder: machine.at("node"),
        code: machine.at("code"),
        requirements: String::new(),
        keeper: machine.keeper.clone(),
        lines: mpsc::channel(100).0,
    };
    let node = python::prepare(&request).await.unwrap();
    assert_eq!(node, bin_folder(&machine.at("node")).join("python3"));
    let seen = machine.at("node/python/lib/python3.12/site-packages/mayfly-base.pth");
    assert_eq!(fs::read_to_string(seen).unwrap(), format!("{}\n", site.display()));
}

#[tokio::test]
async fn a_python_that_is_not_there_or_of_no_use_is_the_jobs_doing() {
    let machine = Machine::new();
    for (name, minor, complete) in [
        ("python3.12", 12, true),
        ("python3.10", 10, false),
        ("python3.8", 8, true),
    ] {
        fake(&machine.at("one").join(name), minor, complete);
    }
    let (old, none) = (machine.at("one/python3.8"), machine.at("one/python3.9"));
    for (named, says) in [
        ("3.13", "no Python 3.13, which the job names (code.python)"),
        ("3.13", "name one that it has: 3.10 ("),
        ("3.13", "3.11 ("),
        ("3.13", "/one/python3.12)"),
        (none.to_str().unwrap(), "no Python /"),
        ("3.10", "/one/python3.10, lacks venv or ensurepip"),
        (
            old.to_str().unwrap(),
            "is Python 3.8, and Spark 4.0.5 runs with Python 3.10 to 3.13",
        ),
        ("three", "no Python three"),
    ] {
        let error = machine.python(named).await.expect_err(named);
        assert_eq!(error.kind, Kind::Job, "{error}");
        assert!(error.message.contains(says), "no {says:?} in {error}");
        assert!(!error.message.contains("3.8 ("), "{error}");
    }
}
