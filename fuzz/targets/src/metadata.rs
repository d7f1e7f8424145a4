//! What an instance's metadata says when it boots: its ids, its tags, its user data, its keys, its spot notice.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use mayfly_agent::boot::discover;
use mayfly_kit::imds::{Imds, InstanceProfile};
use tokio::time::Instant;

use crate::liar::{Answer, Liar, parts};

/// Each of the answers that may be odd, in their order in an input.
const PATHS: [&str; 14] = [
    "/latest/api/token",
    "/latest/meta-data/instance-id",
    "/latest/meta-data/placement/region",
    "/latest/meta-data/placement/availability-zone",
    "/latest/meta-data/local-ipv4",
    "/latest/meta-data/instance-life-cycle",
    "/latest/dynamic/instance-identity/document",
    "/latest/meta-data/tags/instance/managed-by",
    "/latest/meta-data/tags/instance/mayfly:run",
    "/latest/meta-data/tags/instance/mayfly:role",
    "/latest/meta-data/tags/instance/mayfly:deadline",
    "/latest/meta-data/tags/instance/mayfly:coordinator",
    "/latest/meta-data/tags/instance/mayfly:store",
    "/latest/user-data",
];

static LIAR: LazyLock<Liar> = LazyLock::new(Liar::start);
static IMDS: LazyLock<Imds> =
    LazyLock::new(|| Imds::at(&format!("http://{}/", LIAR.address())).expect("an address"));

static SITE: LazyLock<PathBuf> = LazyLock::new(|| {
    let file = std::env::temp_dir().join(format!("mayfly-fuzz-site-{}.json", std::process::id()));
    let site = r#"{"toolchain": {"spark_home": "/opt/spark", "spark_version": "4.0.5", "scala_version": "2.13",
        "java": "/usr/bin/java", "python": "/usr/bin/python3", "cds_archive": null},
        "folder": "/var/lib/mayfly/node", "shared": "/var/lib/mayfly/shared"}"#;
    std::fs::write(&file, site).expect("a temporary file");
    file
});

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let answers: [Vec<u8>; 16] = parts(bytes);
    let says = move |path: &str| {
        let at = PATHS.iter().position(|known| *known == path);
        let at = at.unwrap_or(if path.ends_with('/') { 14 } else { 15 });
        Answer {
            // A token that is used up at once: the next input brings another one.
            headers: "X-aws-ec2-metadata-token-ttl-seconds: 0\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n"
                .into(),
            ..Answer::of(&answers[at])
        }
    };
    LIAR.during(says, async {
        let now = Instant::now();
        let _ = discover(&SITE, &IMDS, now, now + Duration::from_millis(1)).await;
        let _ = InstanceProfile::new(IMDS.clone()).keys().await;
    });
}
