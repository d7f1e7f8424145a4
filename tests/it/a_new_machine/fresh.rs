//! A user of this machine whose cache is empty, and who has no Java, as far as this machine lets a test take it away.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mayfly_tests::{Home, procs};

/// Where systems keep their JDKs: links on the PATH lead there.
const JDKS: &str = "/usr/lib/jvm";
/// In namespaces of its own: an empty folder over that one, then what follows.
const HIDE: &str = "mount -t tmpfs none /usr/lib/jvm && exec \"$@\"";
const NAMESPACES: [&str; 3] = ["--user", "--map-root-user", "--mount"];
/// What leads pip elsewhere than to the registry that it is told of.
const PIP: [&str; 3] = ["PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"];

pub(super) struct Fresh {
    caches: PathBuf,
    /// Whether its programs see no JDK of the system, and there is one.
    hides: bool,
    /// Whether there is a Java all the same.
    java: bool,
}

impl Fresh {
    pub(super) fn new(home: &Home) -> Self {
        let caches = home.scratch("caches");
        fs::create_dir_all(&caches).unwrap();
        let hides = Path::new(JDKS).exists();
        if hides && !may_hide() {
            eprintln!("{JDKS} cannot be hidden on this machine: its Java is used, and none installed");
            return Self {
                caches,
                hides: false,
                java: true,
            };
        }
        let java = path().iter().any(|folder| has_java(folder));
        Self { caches, hides, java }
    }

    /// Whether there is no Java but what is installed.
    pub(super) fn hides_java(&self) -> bool {
        !self.java
    }

    /// The same program for this user. What pip has fetched before, for whomever, it need not fetch again.
    pub(super) fn command(&self, of: &Command) -> Command {
        let mut command = if self.hides {
            let mut outer = Command::new("unshare");
            outer
                .args(NAMESPACES)
                .args(["sh", "-c", HIDE, "sh"])
                .arg(of.get_program());
            outer
        } else {
            Command::new(of.get_program())
        };
        command.args(of.get_args());
        for (name, value) in of.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = of.get_current_dir() {
            command.current_dir(folder);
        }
        let path = env::join_paths(path()).unwrap();
        command
            .env("PATH", path)
            .env(
                "PIP_CACHE_DIR",
                env::var_os("PIP_CACHE_DIR").unwrap_or_else(pip_cache),
            )
            .env("XDG_CACHE_HOME", &self.caches)
            .env_remove("MAYFLY_CACHE")
            .env_remove("JAVA_HOME");
        command
    }

    /// Mayfly's own.
    pub(super) fn cache(&self) -> PathBuf {
        self.caches.join("mayfly")
    }

    /// What is in it, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// What in it begins so.
    pub(super) fn named(&self, begin: &str) -> Option<String> {
        self.names().into_iter().find(|name| name.starts_with(begin))
    }

    pub(super) fn has(&self, begin: &str) -> bool {
        self.named(begin).is_some()
    }

    pub(super) fn has_unfinished(&self) -> bool {
        self.has(".unfinished-")
    }

    /// Processes that have this cache in their command line, and those lines.
    fn named_in(&self) -> Vec<(i32, Vec<String>)> {
        let cache = self.cache().display().to_string();
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let lines = pids.filter(|&pid| procs::is_alive(pid)).filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words = String::from_utf8_lossy(&line)
                .split('\0')
                .map(str::to_owned)
                .collect();
            Some((pid, words))
        });
        lines
            .filter(|(_, words): &(i32, Vec<String>)| words.iter().any(|word| word.contains(&cache)))
            .collect()
    }

    pub(super) fn users(&self) -> Vec<i32> {
        self.named_in().into_iter().map(|(pid, _)| pid).collect()
    }

    /// The `agent toolchain` that fills this cache.
    pub(super) fn installer(&self) -> Option<i32> {
        let installs = |words: &[String]| words.get(1).is_some_and(|verb| verb == "toolchain");
        self.named_in()
            .into_iter()
            .find(|(_, words)| installs(words))
            .map(|(pid, _)| pid)
    }
}

fn may_hide() -> bool {
    let mut tried = Command::new("unshare");
    tried.args(NAMESPACES).args(["sh", "-c", HIDE, "sh", "true"]);
    tried.output().is_ok_and(|done| done.status.success())
}

/// The folders of the PATH, without those that are there for a JDK.
fn path() -> Vec<PathBuf> {
    let all = env::var_os("PATH").unwrap_or_default();
    let needed = |folder: &PathBuf| folder.join("python3").exists() || !has_java(folder);
    env::split_paths(&all).filter(needed).collect()
}

/// Whether a Java is there that does not go with [`JDKS`].
fn has_java(folder: &Path) -> bool {
    let java = folder.join("java").canonicalize();
    java.is_ok_and(|java| !java.starts_with(JDKS))
}

fn pip_cache() -> std::ffi::OsString {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    home.join(".cache/pip").into_os_string()
}

/// A registry where nobody listens.
pub(super) fn cut_off(command: &mut Command) {
    for name in PIP {
        command.env_remove(name);
    }
    command
        .env("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
        .env("PIP_CONFIG_FILE", "/dev/null");
}
