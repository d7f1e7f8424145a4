//! Where the secret of a run is, and where it must not be.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use flate2::read::MultiGzDecoder;
use mayfly_tests::procs::{self, Kind};
use mayfly_tests::{Run, programs};
use nix::unistd::geteuid;

/// Prints what event logs hold.
const UNPACK: &str = "import sys, pyarrow
for path in sys.argv[1:]:
    sys.stdout.buffer.write(pyarrow.input_stream(path, compression='zstd').read())";

/// The secret of a run, as each of its nodes has it: in files of this user that nobody else can read and nobody can change.
pub(super) fn of(run: &Run<'_>) -> String {
    let mut secrets: Vec<String> = Vec::new();
    for node in ["master-1", "worker-1"] {
        let folder = run.node(node).join("spark-conf");
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o400, "{}", path.display());
            assert_eq!(
                fs::metadata(&path).unwrap().uid(),
                geteuid().as_raw(),
                "{}",
                path.display()
            );
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines();
            secrets.extend(
                lines.filter_map(|line| Some(line.strip_prefix("spark.authenticate.secret=")?.to_owned())),
            );
        }
    }
    // Of both daemons at least; of the driver where it is a real one.
    assert!(secrets.len() >= 2, "{} files hold it", secrets.len());
    secrets.dedup();
    assert_eq!(secrets.len(), 1, "nodes of one run have different secrets");
    let secret = secrets.remove(0);
    assert!(secret.len() >= 32, "{} characters", secret.len());
    secret
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// In no command line; and in the environment of executors alone, which have it from their Worker by Spark's own way, and of
/// the Python processes that inherit it from them.
pub(super) fn in_no_process_beyond_executors(run: &Run<'_>, secret: &str) {
    let mut holders = 0;
    let all = procs::of(&run.id);
    assert!(all.iter().any(|process| process.kind == Kind::Driver), "{all:#?}");
    for process in all {
        let read = |what: &str| fs::read(format!("/proc/{}/{what}", process.pid)).unwrap_or_default();
        assert!(
            !holds(&read("cmdline"), secret),
            "a command line has the secret: {process:#?}"
        );
        let in_executor = process.kind == Kind::Executor || process.command.contains("pyspark.worker");
        if holds(&read("environ"), secret) {
            assert!(
                in_executor && process.node == "worker-1",
                "{process:#?} has the secret in its environment"
            );
            holders += 1;
        }
    }
    assert!(holders > 0, "no executor was looked at");
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// In no file below a folder, packed or not, but those of these names.
pub(super) fn in_no_file(folder: &Path, secret: &str, but: &[&str]) {
    let (mut folders, mut looked) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        // What is there may go while it is looked at.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !but.iter().any(|known| name == *known) {
                looked += 1;
                assert!(!holds(&read(&path), secret), "{} has the secret", path.display());
            }
        }
    }
    assert!(looked > 0, "no file is below {}", folder.display());
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(mut file) = File::open(path) else {
        return bytes;
    };
    let whole = match path.extension() {
        Some(end) if end == "gz" => MultiGzDecoder::new(file).read_to_end(&mut bytes),
        Some(_) | None => file.read_to_end(&mut bytes),
    };
    whole.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
}

/// In none of Spark's event logs, which tell of all properties.
pub(super) fn in_no_event(run: &Run<'_>, secret: &str) {
    let folder = run.folder().join("attempt-1/events");
    let mut command = Command::new(programs::python());
    command.args(["-c", UNPACK]);
    command.args(logs(&folder));
    let events = programs::must(&mut command);
    assert!(
        events.contains("SparkListenerEnvironmentUpdate"),
        "{}",
        folder.display()
    );
    assert!(
        events.contains("spark.authenticate.secret"),
        "the properties are not told"
    );
    assert!(!events.contains(secret), "an event log has the secret");
}

fn logs(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
