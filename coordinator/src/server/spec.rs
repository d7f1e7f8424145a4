//! What a run and its nodes are told, out of the job.

use std::time::Duration;

use mayfly_configs::{Job, OnFailure, Repo};
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
        deadline: job.limits.deadline.as_duration(),
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

/// What every node is told when it enrols.
pub(super) fn node_spec(launch: &Launch, engine_secret: String, sizes: Sizes) -> v1::NodeSpec {
    let job = &launch.job;
    let (worker_cores, worker_memory_bytes) = sizes.worker;
    let url = match &job.code.repo {
        Repo::Url(url) if launch.bundle_key.is_none() => url.to_string(),
        Repo::Url(_) | Repo::Folder(_) => String::new(),
    };
    v1::NodeSpec {
        engine: "spark".into(),
        code: Some(v1::Code {
            url,
            bundle_key: launch.bundle_key.clone().unwrap_or_default(),
            commit: launch.commit.clone(),
            path: job.code.path.as_str().into(),
            entry: job.code.entry.as_str().into(),
            class: job.code.class.clone().unwrap_or_default(),
            args: job.code.args.clone(),
            requirements: job
                .code
                .requirements
                .as_ref()
                .map(|r| r.as_str().to_owned())
                .unwrap_or_default(),
        }),
        env: job.env.values.clone().into_iter().collect(),
        spark_conf: job.spark.conf.clone().into_iter().collect(),
        engine_secret,
        min_workers: job.workers.min,
        worker_cores,
        worker_memory_bytes,
        workers: job.workers.count,
    }
}
