//! The driver: writes its properties, starts it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::task::spawn_blocking;

use super::super::facts::{Submission, submission};
use super::super::{Context, Job, private};
use super::{Classes, MASTER_PORT, compiler, conf, jvm, modules, paths};
use crate::prepare::PrepareError;
use crate::supervise::{Child, Line, Spec, Stream};

pub(super) async fn submit(context: &Context, classes: &Classes, job: &Job) -> Result<Child, PrepareError> {
    let Submission {
        folder, entry, words, ..
    } = submission(context, job)?;
    let master = SocketAddr::new(context.address, MASTER_PORT).to_string();
    let mut options = classes.options("executor");
    options.push(jvm::temporary_option(context));
    let mut properties = conf::driver(context, job, &master, &options.join(" "));
    if let Some(modules) = modules_of(context, entry).await {
        let files = properties.entry("spark.submit.pyFiles".into()).or_default();
        *files = [files.as_str(), &modules].join(if files.is_empty() { "" } else { "," });
    }
    let value = |key: &str| properties.get(key).cloned().unwrap_or_default();
    let mut args = jvm::driver_args(
        context,
        classes.all("driver", &context.toolchain.spark_home),
        &value("spark.driver.memory"),
        &value("spark.driver.extraJavaOptions"),
    );
    let file = paths::conf(&context.folder).join("driver.properties");
    private::write(&context.keeper, &file, &conf::render(&properties))
        .map_err(|error| PrepareError::infra(format!("write {}: {error}", file.display())))?;
    args.extend([
        "org.apache.spark.deploy.SparkSubmit".into(),
        "--properties-file".into(),
        file.into(),
    ]);
    if !job.class.is_empty() {
        args.extend(["--class".into(), OsString::from(&job.class)]);
    }
    args.extend(words.iter().map(OsString::from));
    // Without SPARK_HOME the driver's Python imports pyspark from its environment, where it is compiled already, and not
    // out of a zip file.
    let mut env = jvm::environment(context);
    env.extend(job.env.iter().map(|(key, value)| (key.into(), value.into())));
    env.push(("PYSPARK_DRIVER_PYTHON".into(), job.python.clone().into()));
    if job.entry.ends_with(".R") {
        // SparkR is below it.
        env.push(("SPARK_HOME".into(), context.toolchain.spark_home.clone().into()));
    }
    let spec = Spec {
        name: "job".into(),
        stream: Stream::Job,
        program: context.toolchain.java.clone().into(),
        args,
        env,
        cwd: folder,
        keeper: context.keeper.clone(),
    };
    let child = Child::spawn(spec, context.lines.clone())
        .await
        .map_err(|error| PrepareError::infra(format!("the job cannot be started: {error}")))?;
    context.keeper.attend(compiler::give_way(child.pid()));
    Ok(child)
}

/// The file of modules for a Python job's executors. A job whose modules cannot be packed runs: it may not need them there.
async fn modules_of(context: &Context, entry: Option<PathBuf>) -> Option<String> {
    let entry = entry.filter(|entry| entry.extension().is_some_and(|end| end == "py" || end == "ipynb"))?;
    let (to, keeper) = (paths::modules(&context.folder), context.keeper.clone());
    let packed = spawn_blocking(move || {
        let any = modules::pack(&entry, &to)?;
        if any {
            keeper.show(&to)?;
        }
        Ok::<_, modules::Error>(any.then(|| to.display().to_string()))
    });
    match packed.await.ok()? {
        Ok(packed) => packed,
        Err(error) => {
            let line = Line {
                stream: Stream::Agent,
                text: format!("executors do not have the modules beside the entry: {error}"),
            };
            // Nobody takes it: the node is going away.
            let _ = context.lines.send(line).await;
            None
        }
    }
}
