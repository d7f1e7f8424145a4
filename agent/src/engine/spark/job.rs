//! The driver: checks the entry, writes its properties, starts it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::super::{Context, Job};
use super::conf::{self, write_private};
use super::{Classes, MASTER_PORT, jvm, paths};
use crate::prepare::PrepareError;
use crate::supervise::{Child, Spec, Stream};

pub(super) async fn submit(context: &Context, classes: &Classes, job: &Job) -> Result<Child, PrepareError> {
    let (folder, entry) = locate(job)?;
    if entry.extension().is_some_and(|kind| kind == "jar") && job.class.is_empty() {
        return Err(PrepareError::job(format!(
            "entry {} is a JAR and needs `class`, its main class",
            job.entry
        )));
    }
    let master = SocketAddr::new(context.address, MASTER_PORT).to_string();
    let mut options = classes.options("executor");
    options.push(jvm::temporary_option(context));
    let properties = conf::driver(context, job, &master, &options.join(" "));
    let value = |key: &str| properties.get(key).cloned().unwrap_or_default();
    let mut args = jvm::driver_args(
        context,
        classes,
        &value("spark.driver.memory"),
        &value("spark.driver.extraJavaOptions"),
    );
    let file = paths::conf(&context.folder).join("driver.properties");
    write_private(&context.keeper, &file, &conf::render(&properties))
        .map_err(|error| PrepareError::infra(format!("write {}: {error}", file.display())))?;
    args.extend([
        "org.apache.spark.deploy.SparkSubmit".into(),
        "--properties-file".into(),
        file.into(),
    ]);
    if !job.class.is_empty() {
        args.extend(["--class".into(), OsString::from(&job.class)]);
    }
    args.push(entry.into());
    args.extend(job.args.iter().map(OsString::from));
    // Without SPARK_HOME the driver's Python imports pyspark from its environment, where it is compiled already, and not
    // out of a zip file.
    let mut env = jvm::environment(context);
    env.extend(job.env.iter().map(|(key, value)| (key.into(), value.into())));
    env.push(("PYSPARK_DRIVER_PYTHON".into(), job.python.clone().into()));
    let spec = Spec {
        name: "job".into(),
        stream: Stream::Job,
        program: context.toolchain.java.clone().into(),
        args,
        env,
        cwd: folder,
        keeper: context.keeper.clone(),
    };
    Child::spawn(spec, context.lines.clone())
        .await
        .map_err(|error| PrepareError::infra(format!("the job cannot be started: {error}")))
}

/// The folder to run in and the entry, both inside the clone once every link is followed.
fn locate(job: &Job) -> Result<(PathBuf, PathBuf), PrepareError> {
    let root = job
        .code
        .canonicalize()
        .map_err(|error| PrepareError::infra(format!("read the clone: {error}")))?;
    let folder = inside(&root, &root.join(&job.path), "path", &job.path)?;
    if !folder.is_dir() {
        return Err(PrepareError::job(format!(
            "path {:?} is not a folder of the repository",
            job.path
        )));
    }
    let entry = inside(&root, &folder.join(&job.entry), "entry", &job.entry)?;
    let meta = entry
        .metadata()
        .map_err(|error| PrepareError::job(format!("entry {:?}: {error}", job.entry)))?;
    if !meta.is_file() {
        return Err(PrepareError::job(format!("entry {:?} is not a file", job.entry)));
    }
    if meta.len() == 0 {
        return Err(PrepareError::job(format!(
            "entry {:?} is empty (zero bytes)",
            job.entry
        )));
    }
    if !matches!(
        entry.extension().and_then(|kind| kind.to_str()),
        Some("py" | "jar")
    ) {
        return Err(PrepareError::job(format!(
            "entry {:?} is neither a .py nor a .jar file",
            job.entry
        )));
    }
    Ok((folder, entry))
}

fn inside(root: &Path, path: &Path, what: &str, given: &str) -> Result<PathBuf, PrepareError> {
    let real = path.canonicalize().map_err(|_| {
        PrepareError::job(format!(
            "{what} {given:?} does not exist in the repository at this commit"
        ))
    })?;
    if real.starts_with(root) {
        Ok(real)
    } else {
        Err(PrepareError::job(format!(
            "{what} {given:?} leads out of the repository"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Kind;

    #[test]
    fn entries_that_cannot_run_are_named() {
        let clone = tempfile::tempdir().unwrap();
        let at = |name: &str| clone.path().join(name);
        std::fs::create_dir(at("folder.py")).unwrap();
        std::fs::write(at("empty.py"), "").unwrap();
        std::fs::write(at("good.py"), "1").unwrap();
        std::fs::write(at("shell.sh"), "1").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("link.py")).unwrap();
        std::os::unix::fs::symlink("good.py", at("inner.py")).unwrap();
        let locate = |path: &str, entry: &str| {
            locate(&Job {
                code: clone.path().into(),
                path: path.into(),
                entry: entry.into(),
                class: String::new(),
                args: vec![],
                python: PathBuf::new(),
                env: std::collections::BTreeMap::new(),
                worker_cores: 1,
                worker_memory_bytes: 0,
            })
        };
        for (path, entry, says) in [
            ("", "missing.py", "does not exist"),
            ("", "folder.py", "not a file"),
            ("", "empty.py", "zero bytes"),
            ("", "link.py", "out of the repository"),
            ("", "../../../etc/passwd", "out of the repository"),
            ("", "shell.sh", "neither"),
            ("..", "good.py", "out of the repository"),
            ("nowhere", "good.py", "does not exist"),
        ] {
            let error = locate(path, entry).unwrap_err();
            assert_eq!(error.kind, Kind::Job);
            assert!(error.message.contains(says), "{entry}: {error}");
        }
        assert!(locate("", "good.py").is_ok() && locate("", "inner.py").is_ok());
    }
}
