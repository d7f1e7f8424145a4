//! A stand-in for Spark (`tests/light`), for what is not about Spark: nodes start in no time and compute nothing. They run
//! jobs of plain Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use mayfly_agent::toolchain::default_cache;
use serde_json::Value;

use crate::programs;

/// What nodes start in place of Java.
#[must_use]
pub fn java() -> PathBuf {
    programs::repository().join("tests/light/bin/java")
}

/// The folder that programs find the stand-in in (`MAYFLY_CACHE`). Installs what is missing; the first call on a machine may
/// take minutes.
///
/// # Panics
/// It cannot be made.
pub fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let toolchain = programs::toolchain();
        let folder = programs::path("agent").with_file_name("light");
        let version = toolchain["spark_version"].as_str().expect("a version of Spark");
        let note = format!("toolchain-{version}.json");
        let found = fs::read(default_cache().join(&note)).expect("the note of what is installed");
        let mut found: Value = serde_json::from_slice(&found).unwrap();
        found["java_modified_secs"] = modified_secs(&java()).into();
        found["toolchain"]["java"] = java().display().to_string().into();
        found["toolchain"]["cds_archive"] = Value::Null;
        fs::create_dir_all(&folder).unwrap();
        // Another process of tests may be reading it.
        let part = tempfile::NamedTempFile::new_in(&folder).unwrap();
        fs::write(part.path(), found.to_string()).unwrap();
        part.persist(folder.join(&note)).unwrap();
        folder
    })
}

fn modified_secs(path: &Path) -> u64 {
    let modified = path.metadata().and_then(|found| found.modified()).unwrap();
    modified.duration_since(UNIX_EPOCH).unwrap().as_secs()
}
