//! Blocks whose keys are free.

use crate::rig::{job, refused};

#[test]
fn maps() {
    let many: String = (0..41).map(|n| format!("k{n}: v, ")).collect();
    refused(
        "31 tags",
        &job(&format!("tags: {{{many}}}")),
        3,
        &["41 entries", "at most 40"],
    );
    refused(
        "31 aws: key",
        &job("tags:\n  aws:x: y"),
        4,
        &["`aws:` is reserved"],
    );
    refused(
        "31 Mayfly: key",
        &job("tags:\n  \"Mayfly:x\": y"),
        4,
        &["`mayfly:` is reserved"],
    );
    refused(
        "31 long value",
        &job(&format!("tags:\n  k: {}", "v".repeat(257))),
        4,
        &["257 characters long"],
    );
    refused(
        "31 strange value",
        &job("tags:\n  k: \"a\\nb\""),
        4,
        &["(U+000A)"],
    );
    for key in [
        "spark.authenticate",
        "spark.authenticate.secret",
        "spark.master",
        "spark.master.rest.enabled",
        "spark.submit.deployMode",
        "spark.ui.killEnabled",
        "spark.network.crypto.enabled",
        "spark.driver.host",
        "spark.driver.bindAddress",
        "spark.eventLog.enabled",
        "spark.local.ip",
        "spark.io.encryption.enabled",
    ] {
        let text = job(&format!("spark:\n  conf:\n    {key}: x"));
        refused(
            "26 safety key",
            &text,
            5,
            &[&format!("must not set `{key}`"), "Mayfly"],
        );
    }
    for option in [
        "-javaagent:/x.jar",
        "-agentlib:jdwp=transport=dt_socket",
        "-agentpath:/x.so",
    ] {
        let text = job(&format!(
            "spark:\n  conf:\n    spark.driver.extraJavaOptions: {option}"
        ));
        refused("26 agent", &text, 5, &["must not put"]);
    }
    refused(
        "26 not of Spark",
        &job("spark: {conf: {hadoop.x: 1}}"),
        3,
        &["not one of Spark"],
    );
    for release in [
        "3.4.4",
        "2.4.8",
        "3.5",
        "4.0",
        "4.0.x",
        "5.0.0",
        "4.0.0.post0",
        "latest",
    ] {
        let text = job(&format!("spark: {{version: \"{release}\"}}"));
        refused("spark version", &text, 3, &["not a release of Spark 3.5 or 4"]);
    }
    refused(
        "28 unset",
        &job("env: {A: \"${NOT_SET}\"}"),
        3,
        &["`env.A` refers to `NOT_SET`, which is not set"],
    );
    refused(
        "28 recursive",
        &job("env: {A: \"${LOOP}\"}"),
        3,
        &["refers to a variable again"],
    );
    refused(
        "28 not closed",
        &job("env: {A: \"${TOKEN\"}"),
        3,
        &["without its `}`"],
    );
    for name in [
        "MAYFLY_RUN",
        "AWS_SECRET_ACCESS_KEY",
        "SPARK_HOME",
        "spark_home",
        "LD_PRELOAD",
        "A-B",
        "1A",
        "\"\"",
    ] {
        refused("env name", &job(&format!("env:\n  {name}: x")), 4, &["`env`"]);
    }
    refused(
        "env without a value",
        &job("env:\n  A:"),
        4,
        &["`env.A` has no value"],
    );
    refused(
        "env with a list",
        &job("env:\n  A: [x]"),
        4,
        &["`env.A` is a list"],
    );
}
