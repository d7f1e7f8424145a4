//! Metadata that makes no sense, and metadata that is odd and right.

use std::path::Path;

use mayfly_agent::boot::{BootError, Found};
use mayfly_kit::imds::Imds;
use tokio::time::Instant;

use crate::machine::{META, Machine};

/// What is wrong, and what is said.
#[tokio::test]
async fn metadata_that_makes_no_sense_is_named() {
    let machine = Machine::new(true).await;
    let imds = Imds::at(&machine.metadata).unwrap();
    let huge = format!(r#"{{"padding":"{}"}}"#, "x".repeat(1 << 20));
    for (path, value, says) in [
        ("instance-id", "i-", "i- and 8 or 17"),
        ("instance-id", "i-0123456789abcdef01", "i- and 8 or 17"),
        ("instance-id", "i-0123456789abcdef0 ", "i- and 8 or 17"),
        ("instance-id", "i-deadbeef", "of this instance"),
        (
            "placement/region",
            "mars-north-1",
            "a zone of the instance's region",
        ),
        ("local-ipv4", "fe80::1", "an IPv4 address"),
        ("tags/instance/mayfly:run", "Iris", "the id of a run"),
        ("tags/instance/mayfly:role", "master\nworker", "master or worker"),
        ("tags/instance/mayfly:deadline", "tomorrow", "a time in UTC"),
        ("tags/instance/mayfly:store", "file:///x", "s3://BUCKET/PREFIX"),
        ("/latest/user-data", "#!/bin/sh", "a JSON object of version"),
        (
            "/latest/dynamic/instance-identity/document",
            "<html>",
            "an identity document",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","instanceId":"i-0123456789abcdef0"}"#,
            "duplicate field",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","region":"us-east-1","pendingTime":"2026-01-01T00:00:00Z"}"#,
            "of this instance and region",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            r#"{"instanceId":"i-0123456789abcdef0","region":"eu-central-1","pendingTime":"yesterday"}"#,
            "an identity document",
        ),
        ("instance-id", "i-0123 456789abcde", "i- and 8 or 17"),
        ("placement/region", "eu central 1", "a region as eu-central-1"),
        (
            "tags/instance/mayfly:coordinator",
            "http://127.0.0.1:1\nhttp://evil",
            "mayfly:coordinator",
        ),
        (
            "tags/instance/mayfly:store",
            "s3://bucket/prefix\n",
            "s3://BUCKET/PREFIX",
        ),
        (
            "/latest/user-data",
            r#"{"version":1,"join_token":"abc","job_role":{"arn":"admin"}}"#,
            "job_role",
        ),
        (
            "/latest/dynamic/instance-identity/document",
            huge.as_str(),
            "longer than 65536 bytes",
        ),
    ] {
        let key = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{META}/{path}")
        };
        let good = machine
            .pages
            .lock()
            .unwrap()
            .insert(key.clone(), value.to_owned());
        let error = discover(&machine.at("site.json"), &imds).await.err();
        let error = mayfly_agent::collect::chain(&error.unwrap_or_else(|| panic!("{path} {value} is taken")));
        assert!(error.contains(says), "{path} {value:?}: {error}");
        machine.pages.lock().unwrap().insert(key, good.unwrap());
    }
    // An account as text, and a launch that is still to come by the date of the answer.
    let document = serde_json::json!({
        "accountId": "123456789012", "instanceId": "i-0123456789abcdef0", "region": "eu-central-1",
        "pendingTime": "2098-01-01T00:00:00Z",
    });
    let key = "/latest/dynamic/instance-identity/document".to_owned();
    machine.pages.lock().unwrap().insert(key, document.to_string());
    let found = discover(&machine.at("site.json"), &imds).await.unwrap();
    let Found::Node {
        config,
        spot: false,
        package_key: None,
    } = found
    else {
        panic!("not ours");
    };
    assert_eq!(config.store.prefix, "prefix/");
    assert!(config.deadline_secs.unwrap() > 365 * 24 * 3600);
}

/// An id of an older account, a line that ends, an account as text or as a number: AWS has had all of them.
#[tokio::test]
async fn metadata_that_is_odd_and_right_is_taken() {
    let machine = Machine::new(true).await;
    machine.set("instance-id", Some("i-deadbeef\n"));
    let imds = Imds::at(&machine.metadata).unwrap();
    for account in [
        serde_json::json!("012345678901"),
        serde_json::json!(123_456_789_012_u64),
    ] {
        let document = serde_json::json!({
            "accountId": account, "instanceId": "i-deadbeef", "region": "eu-central-1",
            "pendingTime": "2026-01-01T00:00:00Z", "kernelId": null,
        });
        let path = "/latest/dynamic/instance-identity/document".to_owned();
        machine.pages.lock().unwrap().insert(path, document.to_string());
        let found = discover(&machine.at("site.json"), &imds).await.unwrap();
        let Found::Node { config, .. } = found else {
            panic!("not ours");
        };
        assert_eq!(config.machine_id, "i-deadbeef");
        assert!(config.job_role.is_none());
    }
}

/// Once: what is wrong here does not get right.
async fn discover(site: &Path, imds: &Imds) -> Result<Found, BootError> {
    let now = Instant::now();
    mayfly_agent::boot::discover(site, imds, now, now).await
}
