//! The programs under test, and what they install.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// A program of the workspace, as it lies beside the test binaries.
///
/// # Panics
/// It has not been built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let beside = own.parent().expect("it lies in a folder");
    // Test binaries lie in a folder below.
    let folder = match beside.file_name() {
        Some(name) if name == "deps" => beside.parent().expect("target/<profile>"),
        Some(_) | None => beside,
    };
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first",
        program.display()
    );
    program
}

/// The root of this repository.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// What `agent toolchain` found or installed; the first call may take minutes.
///
/// # Panics
/// It cannot be installed.
pub fn toolchain() -> &'static Value {
    static TOOLCHAIN: OnceLock<Value> = OnceLock::new();
    TOOLCHAIN.get_or_init(|| {
        let done = Command::new(path("agent"))
            .args(["toolchain", "--json"])
            .output()
            .expect("agent starts");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.success(),
            "agent toolchain: {}\n{said}{complaint}",
            done.status
        );
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("agent toolchain said {last:?}: {error}"))
    })
}

/// The Python that jobs run with: it has numpy, pandas and pyarrow.
#[must_use]
pub fn python() -> PathBuf {
    toolchain()["python"]
        .as_str()
        .expect("the toolchain has a Python")
        .into()
}

/// What `bench/tools.py` installs under this name: a program or its folder. The first call on a machine fetches it.
///
/// # Panics
/// It cannot be had.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let script = repository().join("bench/tools.py");
    must(Command::new("python3").arg(script).arg(name)).trim().into()
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// It fails.
pub fn must(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{command:?}: {}\n{said}{complaint}",
        done.status
    );
    said
}

/// The command, started by a program that takes it as its last arguments.
#[must_use]
pub fn through(mut starter: Command, command: &Command) -> Command {
    starter.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => starter.env(name, value),
            None => starter.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        starter.current_dir(folder);
    }
    starter
}
