//! The command lines and environments of Spark's JVMs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Context, env};
use super::paths;
use crate::config::Toolchain;

/// What Spark asks of the module system (`JavaModuleOptions` in Spark's launcher); for executors Spark adds it itself.
const MODULE_OPTIONS: [&str; 19] = [
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.invoke=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.cs=ALL-UNNAMED",
    "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
    "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED",
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dderby.connection.requireAuthentication=false",
];

/// Daemons do little and must start fast: the first compiler and the simplest collector. Not for drivers and executors.
const DAEMON_OPTIONS: [&str; 4] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xms48m",
    "-Xmx384m",
];

/// A driver mostly starts and waits: compiling each method after five times as many calls leaves the cores to the start of
/// everything else. Executors, where a long job spends its time, keep the JVM's own thresholds.
const DRIVER_OPTION: &str = "-XX:CompileThresholdScaling=5";

/// How JVMs get their classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// From jars.
    Jars,
    /// From an AppCDS archive where it fits, else silently from jars.
    Archive(PathBuf),
    /// From jars, and the names of what was loaded go to files in this folder, one per process.
    Record(PathBuf),
}

impl Classes {
    /// The archive, when there is one.
    #[must_use]
    pub fn archived(toolchain: &Toolchain) -> Self {
        toolchain.cds_archive.clone().map_or(Self::Jars, Self::Archive)
    }

    /// Options for a JVM of this kind (`what` names the file of a record).
    pub(super) fn options(&self, what: &str) -> Vec<String> {
        match self {
            Self::Jars => Vec::new(),
            Self::Archive(path) => vec![
                format!("-XX:SharedArchiveFile={}", path.display()),
                "-Xshare:auto".into(),
                "-Xlog:disable".into(),
                "-Xlog:all=error:stderr".into(),
            ],
            Self::Record(folder) => {
                vec![
                    "-Xshare:off".into(),
                    format!("-XX:DumpLoadedClassList={}/{what}-%p.classes", folder.display()),
                ]
            }
        }
    }
}

/// The class path, in the order that Spark's launcher gives to executors: an archive fits one order only.
pub(crate) fn class_path(spark_home: &Path) -> String {
    let jars = spark_home.join("jars");
    let names = fs::read_dir(&jars)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let slf4j = names.filter(|name| name.starts_with("slf4j-api-")).min();
    let slf4j = slf4j
        .map(|name| format!("{}:", jars.join(name).display()))
        .unwrap_or_default();
    format!(
        "{}:{slf4j}{}/*",
        spark_home.join("conf").display(),
        jars.display()
    )
}

/// Arguments of `java` up to the main class, for Master and Worker.
pub(super) fn daemon_args(context: &Context, classes: &Classes, what: &str) -> Vec<OsString> {
    let mut args: Vec<String> = DAEMON_OPTIONS.map(String::from).to_vec();
    args.extend(classes.options(what));
    args.extend(MODULE_OPTIONS.map(String::from));
    args.extend([logging_option(context), temporary_option(context)]);
    args.extend(["-cp".into(), class_path(&context.toolchain.spark_home)]);
    args.into_iter().map(OsString::from).collect()
}

/// The same for the driver.
pub(super) fn driver_args(context: &Context, classes: &Classes, heap: &str, options: &str) -> Vec<OsString> {
    let mut args = vec![format!("-Xmx{heap}"), DRIVER_OPTION.into()];
    args.extend(classes.options("driver"));
    args.extend(MODULE_OPTIONS.map(String::from));
    args.extend([logging_option(context), temporary_option(context)]);
    args.extend(options.split_ascii_whitespace().map(String::from));
    args.extend(["-cp".into(), class_path(&context.toolchain.spark_home)]);
    args.into_iter().map(OsString::from).collect()
}

fn logging_option(context: &Context) -> String {
    format!("-Dlog4j2.configurationFile={}", logging(context).display())
}

/// Native libraries are unpacked there, and stay when their JVM is killed.
pub(super) fn temporary_option(context: &Context) -> String {
    format!("-Djava.io.tmpdir={}", context.temporary.display())
}

/// Where the logging configuration is.
pub(super) fn logging(context: &Context) -> PathBuf {
    paths::conf(&context.folder).join("log4j2.properties")
}

/// Warnings and errors only, to standard error: the job's own output stays readable.
pub(super) const LOGGING: &str = "status = error
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
";

/// The complete environment of a daemon or driver; executors inherit the Worker's.
pub(super) fn environment(context: &Context) -> Vec<(OsString, OsString)> {
    let toolchain = &context.toolchain;
    // The environment made for this run's requirements, where there is one; then the base; then the machine's.
    let path = [Some(context.python_bin.as_path()), toolchain.python.parent()];
    let mut env = env::base(context, path.into_iter().flatten());
    for (key, value) in [
        // A Worker finds the `java` for executors with it.
        ("JAVA_HOME", toolchain.java_home().into_os_string()),
        ("SPARK_SCALA_VERSION", toolchain.scala_version.clone().into()),
        ("SPARK_LOCAL_IP", context.address.to_string().into()),
        ("SPARK_LOCAL_DIRS", paths::local(&context.folder).into_os_string()),
        ("PYSPARK_PYTHON", "python3".into()),
        ("PYTHONHASHSEED", "0".into()),
    ] {
        env.push((key.into(), value));
    }
    env
}
