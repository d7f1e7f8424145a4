//! Spark properties of a job: which ones a job may not set, each with its reason.

use crate::diag::Problem;
use crate::text::{clean, name_char, quote, sized};

const SAFETY: &str = "Mayfly sets it so that only this run's nodes can use the cluster";
const ADDRESS: &str = "Mayfly sets the addresses that a node may listen on";
const UI: &str = "Mayfly sets it: the UI would let others stop or read the run";
const PLACE: &str = "Mayfly decides where and how the job is submitted";
const RECORD: &str = "Mayfly keeps the event log as part of the run's record";
const RESULTS: &str = "with any other committer results on several nodes would be incomplete";
const DISK: &str = "Mayfly gives every node a folder that is removed with it";
const PYTHON: &str = "Mayfly chooses the Python, with the job's requirements in it";

/// Properties that are refused; one that ends in `*` stands for all that begin so.
const REFUSED: [(&str, &str); 36] = [
    ("spark.authenticate*", SAFETY),
    ("spark.network.crypto*", SAFETY),
    ("spark.network.sasl*", SAFETY),
    ("spark.io.encryption*", SAFETY),
    ("spark.ssl*", SAFETY),
    ("spark.acls*", SAFETY),
    ("spark.ui.acls*", SAFETY),
    ("spark.ui.view.acls*", SAFETY),
    ("spark.modify.acls*", SAFETY),
    ("spark.admin.acls*", SAFETY),
    ("spark.user.groups*", SAFETY),
    ("spark.ui.filters", UI),
    ("spark.ui.killenabled", UI),
    ("spark.ui.proxy*", UI),
    ("spark.ui.reverseproxy*", UI),
    ("spark.ui.allowframingfrom", UI),
    ("spark.ui.custom*", UI),
    ("spark.master", PLACE),
    ("spark.master.*", PLACE),
    ("spark.worker.*", PLACE),
    ("spark.deploy.*", PLACE),
    ("spark.submit.*", PLACE),
    ("spark.kubernetes.*", PLACE),
    ("spark.yarn.*", PLACE),
    ("spark.remote*", PLACE),
    ("spark.connect.*", PLACE),
    ("spark.api.mode", PLACE),
    ("spark.app.id", PLACE),
    ("spark.driver.host", ADDRESS),
    ("spark.driver.bindaddress", ADDRESS),
    ("spark.local.ip", ADDRESS),
    ("spark.local.dir", DISK),
    ("spark.eventlog.*", RECORD),
    (
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version",
        RESULTS,
    ),
    ("spark.pyspark.*", PYTHON),
    ("spark.home", PYTHON),
];

/// JVM options that load code or open a door.
const JVM_OPTIONS: [&str; 8] = [
    "-javaagent",
    "-agentlib",
    "-agentpath",
    "-xrun",
    "-xdebug",
    "com.sun.management.jmxremote",
    "onoutofmemoryerror",
    "onerror",
];

/// Checks the name of a property.
pub(crate) fn check_key(key: &str) -> Result<(), Problem> {
    sized(key, 200)?;
    clean(key)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(c) = key.chars().find(|c| !plain(*c)) {
        let problem = Problem::new(format!(
            "has the property {}, which holds {}",
            quote(key),
            name_char(c)
        ));
        return Err(problem.help("a property is letters, digits, `.`, `_` and `-`"));
    }
    if !key.starts_with("spark.") {
        let problem = Problem::new(format!(
            "has the property {}, which is not one of Spark",
            quote(key)
        ));
        return Err(problem.help("it must begin with `spark.`; for Hadoop's, with `spark.hadoop.`"));
    }
    let lower = key.to_ascii_lowercase();
    let refused = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => lower.starts_with(start),
        None => lower == pattern,
    };
    match REFUSED.iter().find(|(pattern, _)| refused(pattern)) {
        None => Ok(()),
        Some((_, why)) => {
            Err(Problem::new(format!("must not set {}", quote(key))).help(format!("remove it: {why}")))
        }
    }
}

/// Checks the value of a property.
pub(crate) fn check_value(key: &str, value: &str) -> Result<(), Problem> {
    if value.len() > 8_192 {
        return Err(
            Problem::new(format!("has {} bytes for {}", value.len(), quote(key)))
                .help("at most 8192 bytes are allowed"),
        );
    }
    clean(value)?;
    let lower = value.to_ascii_lowercase();
    // Also -XX:Flags and @argfiles would bring options from files that nobody checks.
    let option = JVM_OPTIONS
        .iter()
        .find(|option| lower.contains(**option))
        .copied();
    let option = option.or_else(|| lower.contains("-xx:flags").then_some("-XX:Flags"));
    let option = option.or_else(|| {
        value
            .split_whitespace()
            .any(|word| word.starts_with('@'))
            .then_some("@file")
    });
    match option.filter(|_| key.to_ascii_lowercase().ends_with("javaoptions")) {
        None => Ok(()),
        Some(option) => Err(
            Problem::new(format!("must not put {} into {}", quote(option), quote(key)))
                .help("remove it: it would load code into Spark or open a way in from outside"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_lower_case() {
        for (pattern, _) in REFUSED {
            assert_eq!(pattern, pattern.to_ascii_lowercase());
        }
    }

    #[test]
    fn safety_properties_are_refused_whatever_their_case() {
        for key in [
            "spark.authenticate",
            "spark.authenticate.secret",
            "spark.master",
            "spark.master.rest.enabled",
            "spark.Submit.deployMode",
            "spark.ui.killEnabled",
            "spark.network.crypto.enabled",
            "spark.driver.host",
            "spark.driver.bindAddress",
            "spark.eventLog.dir",
            "spark.local.ip",
            "SPARK.AUTHENTICATE",
            "x",
            "spark.a b",
            "spark.a\nspark.b",
        ] {
            assert!(check_key(key).is_err(), "{key}");
        }
        for key in [
            "spark.sql.shuffle.partitions",
            "spark.executor.memory",
            "spark.mastermind",
            "spark.ui.port",
        ] {
            assert!(check_key(key).is_ok(), "{key}");
        }
    }

    #[test]
    fn jvm_agents_are_refused() {
        let key = "spark.driver.extraJavaOptions";
        for value in [
            "-javaagent:/x.jar",
            "-Xmx1g -agentlib:jdwp=x",
            "-JAVAAGENT:x",
            "@/tmp/args",
            "-XX:OnError=sh",
        ] {
            assert!(check_value(key, value).is_err(), "{value}");
        }
        assert!(check_value(key, "-Dx=y").is_ok());
        assert!(check_value("spark.app.name", "-javaagent demo").is_ok());
    }
}
