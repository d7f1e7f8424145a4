//! What a run and its nodes are told, out of the job.

use std::time::Duration;

use mayfly_configs::{Collect, Input, InputFrom, Job, OnFailure, Repo, Secs, Step};
use mayfly_proto::v1;

use super::Launch;
use crate::cloud::Sizes;
use crate::run::{Spec, Timing};

/// What does not change while the run lasts.
pub(super) fn run_spec(job: &Job, timing: Timing) -> Spec {
    Spec {
        workers: job.workers.count,
        min_workers: job.workers.min,
        alike: job.alike,
        counts_nodes: job.engine.definition().counts_nodes(),
        names_workers: job.engine.definition().asks_for_peers(),
        deadline: job.limits.deadline.as_duration(),
        stall: job.stall().map(Secs::as_duration),
        form: job.limits.form.as_duration(),
        retries: job.limits.retries,
        hold: match job.on_failure {
            OnFailure::Release => Duration::ZERO,
            OnFailure::Hold { secs } => secs.as_duration(),
        },
        timing,
    }
}

/// Values that came from the launcher's environment go to the nodes, and into no record.
pub(super) fn without_secrets(mut job: Job) -> Job {
    for name in &job.env.interpolated {
        if let Some(value) = job.env.values.get_mut(name) {
            *value = "(hidden)".into();
        }
    }
    job
}

/// What a node is told and a job is not. No `Debug`.
pub(super) struct Secrets {
    /// Of the engine's own processes.
    pub(super) engine: String,
    /// The nodes' token in Consul, where this coordinator has one of its own; else empty.
    pub(super) consul: String,
}

fn step(step: &Step) -> v1::Step {
    v1::Step {
        name: step.name.clone(),
        entry: step.entry().to_owned(),
        class: step.class.clone().unwrap_or_default(),
        args: step.args.clone(),
        command: step.command.clone(),
        go_on: step.go_on,
    }
}

/// A folder of the launching machine is in the store by now, and named as that.
fn input(input: &Input) -> Option<v1::Input> {
    let (bucket, key) = match &input.from {
        InputFrom::S3(place) => (place.bucket().to_owned(), place.prefix().to_owned()),
        InputFrom::Store(key) => (String::new(), key.as_str().to_owned()),
        InputFrom::Folder(_) => return None,
    };
    let to = input.to.as_str().to_owned();
    Some(v1::Input { bucket, key, to })
}

fn collect(collect: &Collect) -> v1::Collect {
    let folders = collect.folders.iter().map(|(name, path)| v1::ResultFolder {
        name: name.as_str().to_owned(),
        path: path.as_str().to_owned(),
    });
    v1::Collect {
        keep: collect.keep.clone(),
        exclude: collect.exclude.clone(),
        folders: folders.collect(),
    }
}

/// What every node is told when it enrols.
pub(super) fn node_spec(launch: &Launch, secrets: Secrets, sizes: Sizes) -> v1::NodeSpec {
    let job = &launch.job;
    let (worker_cores, worker_memory_bytes) = sizes.worker;
    let url = match &job.code.repo {
        Repo::Url(url) if launch.bundle_key.is_none() => url.to_string(),
        Repo::Url(_) | Repo::Folder(_) => String::new(),
    };
    v1::NodeSpec {
        engine: job.engine.name().into(),
        code: Some(v1::Code {
            url,
            bundle_key: launch.bundle_key.clone().unwrap_or_default(),
            commit: launch.commit.clone(),
            path: job.code.path.as_str().into(),
            entry: job.code.entry().into(),
            class: job.code.class.clone().unwrap_or_default(),
            args: job.code.args.clone(),
            requirements: job
                .code
                .requirements
                .as_ref()
                .map(|r| r.as_str().to_owned())
                .unwrap_or_default(),
            command: job.code.command.clone(),
            build: job.code.build.clone(),
            steps: job.code.steps.iter().map(step).collect(),
            session_idle_ms: job.code.session.map_or(0, |idle| idle.0.saturating_mul(1_000)),
            python: job.code.python.clone().map(String::from).unwrap_or_default(),
        }),
        env: job.env.values.clone().into_iter().collect(),
        engine_conf: job.spark.conf.clone().into_iter().collect(),
        engine_secret: secrets.engine,
        consul_token: secrets.consul,
        min_workers: job.workers.min,
        worker_cores,
        worker_memory_bytes,
        workers: job.workers.count,
        inputs: job.inputs.iter().filter_map(input).collect(),
        collect: Some(collect(&job.collect)),
        secret_env: job.env.interpolated.iter().cloned().collect(),
        engine_definition: serde_json::to_string(job.engine.definition()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};

    use super::*;
    use crate::cloud::local::{Patience, timing};

    #[test]
    fn a_session_that_nobody_uses_is_no_job_that_hangs() {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            ..AdHoc::default()
        };
        let mut job = ad_hoc(&flags, &|_| None).unwrap();
        let stall = |job: &Job| run_spec(job, timing(Patience::SERVER)).stall;
        assert_eq!(stall(&job), Some(Duration::from_secs(3_600)));
        job.code.become_session(Secs(1_800));
        assert_eq!(stall(&job), None);
    }
}
