//! Properties files and sizes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::{Context, Job, events};
use super::{DRIVER_UI_PORT, paths};

pub use mayfly_proto::spark::{heap_bytes, worker_offer_mib};

const MIB: u64 = 1024 * 1024;

/// Properties, as Spark reads them.
pub type Properties = BTreeMap<String, String>;

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
    use std::net::IpAddr;
    use std::path::PathBuf;
    use std::sync::Arc;

    use mayfly_proto::v1::NodeSpec;
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::Toolchain;
    use crate::engine::{self, Fleet};

    #[test]
    fn properties_escape_what_java_gives_a_meaning_to() {
        let properties = collect([("a", "b=c: d\\e\nf é😀#".into())]);
        assert_eq!(
            render(&properties),
            "a=b\\=c\\:\\ d\\\\e\\nf\\ \\u00e9\\ud83d\\ude00\\#\n"
        );
    }

    fn context(conf: &[(&str, &str)]) -> Context {
        let conf = conf.iter().map(|&(key, value)| (key.into(), value.into()));
        Context {
            toolchain: Toolchain {
                spark_home: "/spark".into(),
                spark_version: "4.0.5".into(),
                scala_version: "2.13".into(),
                java: "/java/bin/java".into(),
                python: "/python/bin/python3".into(),
                cds_archive: None,
            },
            keeper: PathBuf::from("/agent").into(),
            address: IpAddr::from([127, 16, 0, 1]),
            cores: 2,
            memory_bytes: 2048 * MIB,
            folder: "/node".into(),
            secret: "of this run".into(),
            conf: conf.collect(),
            env: BTreeMap::new(),
            python_bin: "/node/python/bin".into(),
            temporary: "/tmp".into(),
            lines: mpsc::channel(1).0,
            fleet: Fleet {
                definition: Arc::new(engine::definition(&NodeSpec::default()).unwrap()),
                ..Fleet::default()
            },
        }
    }

    fn job(class: &str, cores: u32, mib: u64) -> Job {
        Job {
            entry: "job".into(),
            class: class.into(),
            worker_cores: cores,
            worker_memory_bytes: mib * MIB,
            ..Job::default()
        }
    }

    /// Memory of an executor, its cores, memory of the driver.
    fn sizes(conf: &[(&str, &str)], job: &Job) -> [String; 3] {
        let properties = driver(&context(conf), job, "127.16.0.1:7077", "");
        [
            "spark.executor.memory",
            "spark.executor.cores",
            "spark.driver.memory",
        ]
        .map(|key| properties[key].clone())
    }

    #[test]
    fn executors_fill_the_workers_and_leave_room_for_daemons_and_python() {
        // (4096 - 384) MiB: 70 % of it beside Python, 90 % without; the driver's by the master's 2048.
        assert_eq!(sizes(&[], &job("", 4, 4096)), ["2598m", "4", "1164m"]);
        assert_eq!(
            sizes(&[], &job("org.example.Main", 4, 4096)),
            ["3340m", "4", "1497m"]
        );
        assert_eq!(sizes(&[], &job("", 0, 1024)), ["512m", "1", "1164m"]);
    }

    #[test]
    fn sizes_that_the_job_names_hold_and_what_keeps_others_out_holds_against_the_job() {
        let conf = [
            ("spark.executor.memory", "600m"),
            ("spark.executor.cores", "1"),
            ("spark.driver.memory", "700m"),
            // No job gets so far with these: they are refused before.
            ("spark.authenticate", "false"),
            ("spark.authenticate.secret", "mine"),
            ("spark.ui.killEnabled", "true"),
            ("spark.driver.bindAddress", "0.0.0.0"),
        ];
        assert_eq!(sizes(&conf, &job("", 4, 4096)), ["600m", "1", "700m"]);
        let properties = driver(&context(&conf), &job("", 4, 4096), "127.16.0.1:7077", "");
        for (key, value) in [
            ("spark.authenticate", "true"),
            ("spark.authenticate.secret", "of this run"),
            ("spark.ui.killEnabled", "false"),
            ("spark.driver.bindAddress", "127.16.0.1"),
        ] {
            assert_eq!(properties[key], value, "{key}");
        }
    }
}
