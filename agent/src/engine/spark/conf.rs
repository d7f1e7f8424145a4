//! Properties files and sizes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::{Context, Job, events};
use super::{DRIVER_UI_PORT, paths};

const MIB: u64 = 1024 * 1024;
/// Of a node's memory: the Master's or Worker's JVM and the agent.
const DAEMON_BYTES: u64 = 384 * MIB;
/// Spark refuses a driver or executor with less than 450 MiB of heap.
const HEAP_MIN_BYTES: u64 = 512 * MIB;

/// Properties, as Spark reads them.
pub type Properties = BTreeMap<String, String>;

/// Heap of the one JVM that works on a node. The rest is for its own stacks, code and buffers (10 %), and for a Python
/// job's interpreters, which hold their data outside of the heap (another 20 %).
#[must_use]
pub fn heap_bytes(node_bytes: u64, python: bool) -> u64 {
    let percent = if python { 70 } else { 90 };
    (node_bytes.saturating_sub(DAEMON_BYTES) / 100 * percent).max(HEAP_MIN_BYTES)
}

/// What a Worker offers: the largest heap that an executor may ask for.
#[must_use]
pub fn worker_offer_mib(node_bytes: u64) -> u64 {
    heap_bytes(node_bytes, false) / MIB
}

/// A size as Spark takes it.
#[must_use]
pub fn mib(bytes: u64) -> String {
    format!("{}m", bytes / MIB)
}

fn authentication(context: &Context) -> [(&'static str, String); 2] {
    // Spark takes `spark.authenticate.secret.file` on Kubernetes only (SecurityManager.secretKeyFromFile). A Worker hands the
    // secret to executors in their environment and strips it from their command line.
    [
        ("spark.authenticate", "true".into()),
        ("spark.authenticate.secret", context.secret.clone()),
    ]
}

fn collect<const N: usize>(pairs: [(&'static str, String); N]) -> Properties {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The Master passes requests on to the pages of Workers and of the job, and all of them link to where the coordinator shows
/// the Master's: so one address of one node is enough for all pages.
fn pages(context: &Context) -> Properties {
    let run = context.env.get("MAYFLY_RUN");
    let at = run.map(|run| {
        collect([
            ("spark.ui.reverseProxy", "true".into()),
            ("spark.ui.reverseProxyUrl", format!("/runs/{run}/spark")),
        ])
    });
    at.unwrap_or_default()
}

/// For Master and Worker.
#[must_use]
pub fn daemon(context: &Context) -> Properties {
    let mut properties = collect([
        ("spark.master.rest.enabled", "false".into()),
        ("spark.ui.killEnabled", "false".into()),
        ("spark.master.ui.decommission.allow.mode", "DENY".into()),
        // A Worker that says nothing for this long (seconds) is lost; it speaks four times as often.
        ("spark.worker.timeout", "12".into()),
        // A Master that is started again knows its workers and applications.
        ("spark.deploy.recoveryMode", "FILESYSTEM".into()),
        (
            "spark.deploy.recoveryDirectory",
            paths::recovery(&context.folder).display().to_string(),
        ),
        ("spark.ui.showConsoleProgress", "false".into()),
        // A Worker whose machine is taken away is told so by a signal.
        ("spark.decommission.enabled", "true".into()),
    ]);
    properties.extend(pages(context));
    properties.extend(collect(authentication(context)));
    properties
}

/// Where a job that brings `hadoop-aws` along finds the store; S3A takes the keys from the environment. Without that
/// library nothing reads these.
fn s3a(context: &Context) -> Properties {
    let mut properties = collect([(
        "spark.hadoop.fs.s3.impl",
        "org.apache.hadoop.fs.s3a.S3AFileSystem".into(),
    )]);
    if let Some(endpoint) = context.env.get("AWS_ENDPOINT_URL") {
        properties.extend(collect([
            ("spark.hadoop.fs.s3a.endpoint", endpoint.clone()),
            ("spark.hadoop.fs.s3a.path.style.access", "true".into()),
        ]));
    }
    properties
}

/// For the driver and its executors: our defaults, over them what the job says, over it what must hold.
#[must_use]
pub fn driver(context: &Context, job: &Job, master: &str, executor_options: &str) -> Properties {
    let python = job.class.is_empty();
    let mut properties = collect([
        ("spark.app.name", job.entry.clone()),
        (
            "spark.driver.memory",
            mib(heap_bytes(context.memory_bytes, python)),
        ),
        (
            "spark.executor.memory",
            mib(heap_bytes(job.worker_memory_bytes, python)),
        ),
        ("spark.executor.cores", job.worker_cores.max(1).to_string()),
        ("spark.ui.port", DRIVER_UI_PORT.to_string()),
        ("spark.ui.showConsoleProgress", "false".into()),
        // Nodes share no disk: each executor commits its own files in place.
        (
            "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version",
            "2".into(),
        ),
        // Found on each node's own PATH: environments are at different places.
        ("spark.pyspark.python", "python3".into()),
        ("spark.pyspark.driver.python", job.python.display().to_string()),
        // What an executor holds moves to others before its machine is taken away; without such an end this does nothing.
        ("spark.decommission.enabled", "true".into()),
        ("spark.storage.decommission.enabled", "true".into()),
        ("spark.storage.decommission.rddBlocks.enabled", "true".into()),
        ("spark.storage.decommission.shuffleBlocks.enabled", "true".into()),
        ("spark.eventLog.compress", "true".into()),
        ("spark.eventLog.compression.codec", "zstd".into()),
        ("spark.eventLog.rolling.enabled", "false".into()),
    ]);
    properties.extend(
        job.env
            .iter()
            .map(|(key, value)| (format!("spark.executorEnv.{key}"), value.clone())),
    );
    properties.extend(s3a(context));
    properties.extend(context.conf.clone());
    let wanted = properties
        .remove("spark.executor.extraJavaOptions")
        .unwrap_or_default();
    properties.extend(collect([
        ("spark.master", format!("spark://{master}")),
        ("spark.submit.deployMode", "client".into()),
        ("spark.driver.host", context.address.to_string()),
        ("spark.driver.bindAddress", context.address.to_string()),
        ("spark.ui.killEnabled", "false".into()),
        ("spark.eventLog.enabled", "true".into()),
        (
            "spark.eventLog.dir",
            format!("file://{}", events(&context.folder).display()),
        ),
        (
            "spark.executor.extraJavaOptions",
            format!("{executor_options} {wanted}").trim().to_owned(),
        ),
    ]));
    properties.extend(pages(context));
    properties.extend(collect(authentication(context)));
    properties
}

/// The text of a Java properties file.
#[must_use]
pub fn render(properties: &Properties) -> String {
    let mut text = String::new();
    for (key, value) in properties {
        escape(&mut text, key);
        text.push('=');
        escape(&mut text, value);
        text.push('\n');
    }
    text
}

/// Everything that `java.util.Properties` gives a meaning to, and what is not printable ASCII.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' | '=' | ':' | '#' | '!' | ' ' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_escape_what_java_gives_a_meaning_to() {
        let properties = collect([("a", "b=c: d\\e\nf é😀#".into())]);
        assert_eq!(
            render(&properties),
            "a=b\\=c\\:\\ d\\\\e\\nf\\ \\u00e9\\ud83d\\ude00\\#\n"
        );
    }

    #[test]
    fn heaps_leave_room_and_are_never_too_small_for_spark() {
        assert_eq!(heap_bytes(0, true), HEAP_MIN_BYTES);
        assert_eq!(mib(heap_bytes(4096 * MIB, true)), "2598m");
        assert!(worker_offer_mib(4096 * MIB) > heap_bytes(4096 * MIB, true) / MIB);
    }
}
