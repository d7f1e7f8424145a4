//! The command lines and environments of Spark's JVMs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::super::{Context, env};
use super::classes::Source;
use super::paths;

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

/// Daemons do little and must start fast: the first compiler, for what is called twice as often as it wants by itself, and
/// the simplest collector. Not for drivers and executors.
const DAEMON_OPTIONS: [&str; 5] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:CompileThresholdScaling=2",
    "-XX:+UseSerialGC",
    "-Xms48m",
    "-Xmx384m",
];

/// A driver mostly starts and waits: each method is compiled after twice as many calls as the JVM wants by itself. Five times
/// as many cost a driver that computes a sixth of its speed; `make bench` has a row for such a job. Its second compiler gives
/// way besides ([`super::compiler`]). Executors, where a long job spends its time, keep the JVM's own thresholds.
const DRIVER_OPTION: &str = "-XX:CompileThresholdScaling=2";

/// Arguments of `java` up to the main class, for Master and Worker.
pub(super) fn daemon_args(context: &Context, source: Source) -> Vec<OsString> {
    let mut args: Vec<String> = DAEMON_OPTIONS.map(String::from).to_vec();
    args.extend(source.options);
    args.extend(MODULE_OPTIONS.map(String::from));
    args.extend([logging_option(context), temporary_option(context)]);
    args.extend(["-cp".into(), source.class_path]);
    args.into_iter().map(OsString::from).collect()
}

/// The same for the driver.
pub(super) fn driver_args(context: &Context, source: Source, heap: &str, options: &str) -> Vec<OsString> {
    let mut args = vec![format!("-Xmx{heap}"), DRIVER_OPTION.to_owned()];
    args.extend(source.options);
    args.extend(MODULE_OPTIONS.map(String::from));
    args.extend([logging_option(context), temporary_option(context)]);
    args.extend(options.split_ascii_whitespace().map(String::from));
    args.extend(["-cp".into(), source.class_path]);
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
