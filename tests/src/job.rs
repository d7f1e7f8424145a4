//! Job files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{Home, Repo};

/// The JVM's first compiler alone. What Spark runs in a test lasts seconds: its second compiler takes a third of all processor
/// time then, and gives nothing back.
const QUICK: &str = "-XX:TieredStopAtLevel=1";
/// Of drivers and executors.
const OPTIONS: [&str; 2] = ["spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"];

/// Arguments of a launch that make the JVMs of an example as quick as those of a [`Job`] are.
pub fn quick() -> impl Iterator<Item = String> {
    let sets = OPTIONS.map(|option| ["--set".to_owned(), format!("spark.conf.{option}={QUICK}")]);
    sets.into_iter().flatten()
}

/// A job of one small master and one small worker, unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Job {
    name: String,
    body: Value,
}

impl Job {
    /// Runs `entry` of a repository: a URL or a folder. With the JVMs' own settings run those of `configs/jobs`.
    #[must_use]
    pub fn new(name: &str, repo: &str, entry: &str) -> Self {
        let body = json!({
            "spark": { "conf": OPTIONS.map(|option| (option, QUICK)).into_iter().collect::<BTreeMap<_, _>>() },
            "code": { "repo": repo, "entry": entry },
            "master": { "cores": 1, "memory": "1GiB" },
            "workers": { "count": 1, "cores": 1, "memory": "1GiB" },
            "limits": { "deadline": "10m", "form": "3m" },
        });
        Self {
            name: name.to_owned(),
            body,
        }
    }

    /// A script of `tests/jobs` that meets the test at the gate of `home`.
    #[must_use]
    pub fn at_gate(name: &str, home: &Home, repo: &Repo, entry: &str) -> Self {
        Self::new(name, &repo.url(), entry).set("env", json!({ "GATE": home.gate() }))
    }

    /// Sets one value; the blocks of a key are separated by dots.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let place = key
            .split('.')
            .fold(&mut self.body, |block, part| &mut block[part]);
        *place = value.into();
        self
    }

    /// Lays values over the block of a key.
    #[must_use]
    pub fn lay(mut self, key: &str, values: Value) -> Self {
        let block = key
            .split('.')
            .fold(&mut self.body, |block, part| &mut block[part]);
        if let (Value::Object(block), Value::Object(values)) = (block, values) {
            block.extend(values);
        }
        self
    }

    /// Takes a key or a block away; the blocks of a key are separated by dots.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        let (blocks, last) = key.rsplit_once('.').unwrap_or(("", key));
        let parts = blocks.split('.').filter(|part| !part.is_empty());
        let block = parts.fold(&mut self.body, |block, part| &mut block[part]);
        if let Some(block) = block.as_object_mut() {
            block.remove(last);
        }
        self
    }

    /// How many workers.
    #[must_use]
    pub fn workers(self, count: u32) -> Self {
        self.set("workers.count", count)
    }

    /// Arguments of the program.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("code.args", args.to_vec())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes it as a file of its own. JSON is YAML too.
    #[must_use]
    pub fn write(&self, home: &Home) -> PathBuf {
        let path = home.scratch(&format!("{}.yml", self.name));
        let name = &self.name;
        std::fs::write(
            &path,
            serde_json::to_string_pretty(&json!({ name: self.body })).unwrap(),
        )
        .unwrap();
        path
    }
}
