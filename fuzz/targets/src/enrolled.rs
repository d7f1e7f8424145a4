//! What the coordinator answers to a node that comes: who it is, and what its run is, with the definition of its engine.

use std::sync::{LazyLock, Mutex};

use mayfly_agent::config::NodeConfig;
use mayfly_agent::engine;
use mayfly_agent::identity::Door;
use mayfly_proto::engine::Facts;
use mayfly_proto::selection::Selection;
use mayfly_proto::v1;
use prost::Message as _;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// A node that comes in plaintext, and one that comes over TLS.
struct Doors {
    runtime: Runtime,
    doors: [Door; 2],
}

static DOORS: LazyLock<Mutex<Doors>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let entered = runtime.enter();
    let fingerprint = format!("sha256:{}", "0".repeat(64));
    let doors = [
        ("http://127.0.0.1:7070", None),
        ("https://127.0.0.1:7070", Some(fingerprint)),
    ];
    let doors = doors.map(|(url, pin)| Door::new(&config(url, pin), true).expect("a door"));
    drop(entered);
    Mutex::new(Doors { runtime, doors })
});

fn config(url: &str, fingerprint: Option<String>) -> NodeConfig {
    let config = json!({
        "run": "fuzz-abcdefgh", "role": "master", "machine_id": "master-1", "coordinator": url,
        "fingerprint": fingerprint, "join_token": "token", "address": "10.0.0.9", "cores": 2,
        "memory_bytes": 1 << 30, "folder": "/var/lib/mayfly/node", "shared": "/var/lib/mayfly/shared",
        "store": { "bucket": "mayfly", "prefix": "", "region": "us-east-1", "endpoint": "http://127.0.0.1:9000",
            "access": { "keys": { "access_key": "key", "secret_key": "secret" } } },
        "toolchain": { "spark_home": "/opt/spark", "spark_version": "4.0.5", "scala_version": "2.13",
            "java": "/usr/bin/java", "python": "/usr/bin/python3", "cds_archive": null },
    });
    serde_json::from_value(config).expect("the configuration of a node")
}

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(reply) = v1::EnrollReply::decode(bytes) {
        for spec in taken_in(&reply) {
            looked_at(&spec);
        }
    }
    // What a specification is made of is likelier to be come upon alone.
    if let Ok(spec) = v1::NodeSpec::decode(bytes) {
        looked_at(&spec);
    }
    engine_of(crate::text(bytes));
}

fn taken_in(reply: &v1::EnrollReply) -> Vec<v1::NodeSpec> {
    let mut doors = DOORS.lock().expect("no input panicked before");
    let Doors { runtime, doors } = &mut *doors;
    let _entered = runtime.enter();
    let enrolled = doors.iter_mut().map(|door| door.enrolled(reply.clone()));
    enrolled.flatten().map(|enrolled| enrolled.spec).collect()
}

/// What a node makes of it before it does anything.
fn looked_at(spec: &v1::NodeSpec) {
    let collect = spec.collect.clone().unwrap_or_default();
    if let Ok(selection) = Selection::new(&collect.keep, &collect.exclude) {
        let _ = selection.takes("folder/file.txt");
    }
    let _ = spec.session_idle();
    engine_of(&spec.engine_definition);
}

/// A definition that is taken has no flaw, and what it becomes is a command line or a reason.
fn engine_of(text: &str) {
    let spec = v1::NodeSpec {
        engine: "mine".into(),
        engine_definition: text.into(),
        ..v1::NodeSpec::default()
    };
    let Ok(definition) = engine::definition(&spec) else {
        return;
    };
    let facts = Facts::sample(&definition, "master-1");
    for template in definition.templates() {
        let _ = template.words(&facts);
    }
    let _ = (definition.port(true), definition.session_port());
    let _ = definition.kind_of("main.py");
}
