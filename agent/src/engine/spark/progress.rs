//! How far the job is, from the driver's own REST pages. Never fails the job: what cannot be read is not shown.

use std::time::Duration;

use mayfly_proto::v1::Progress;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

const POLL: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Application {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobPage {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StagePage {
    status: String,
    name: String,
    num_tasks: u32,
    num_complete_tasks: u32,
    num_failed_tasks: u32,
}

/// Polls until its task is dropped; `ui` as [`super::Engine::driver_ui`] gives it.
pub async fn follow(ui: String, report: watch::Sender<Progress>) {
    let Ok(client) = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build()
    else {
        return;
    };
    let mut tick = interval(POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(progress) = look(&client, &ui).await {
            report.send_replace(progress);
        }
    }
}

async fn look(client: &reqwest::Client, ui: &str) -> Option<Progress> {
    let applications: Vec<Application> = get(client, format!("{ui}/api/v1/applications")).await?;
    let base = format!("{ui}/api/v1/applications/{}", applications.first()?.id);
    let jobs: Vec<JobPage> = get(client, format!("{base}/jobs")).await?;
    let stages: Vec<StagePage> = get(client, format!("{base}/stages")).await?;
    Some(sum(&jobs, &stages))
}

async fn get<T: for<'a> Deserialize<'a>>(client: &reqwest::Client, url: String) -> Option<T> {
    client
        .get(url)
        .send()
        .await
        .ok()?
        .error_for_status()
        .ok()?
        .json()
        .await
        .ok()
}

/// Skipped stages never run, so they are not of the total.
fn sum(jobs: &[JobPage], stages: &[StagePage]) -> Progress {
    let counted: Vec<&StagePage> = stages.iter().filter(|stage| stage.status != "SKIPPED").collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let active = counted
        .iter()
        .filter(|stage| stage.status == "ACTIVE")
        .map(|stage| spoken(&stage.name));
    Progress {
        jobs_done: count(jobs.iter().filter(|job| job.status == "SUCCEEDED").count()),
        jobs_total: count(jobs.len()),
        stages_done: count(counted.iter().filter(|stage| stage.status == "COMPLETE").count()),
        stages_total: count(counted.len()),
        tasks_done: counted.iter().map(|stage| stage.num_complete_tasks).sum(),
        tasks_total: counted.iter().map(|stage| stage.num_tasks).sum(),
        tasks_failed: counted.iter().map(|stage| stage.num_failed_tasks).sum(),
        active_stage: active.max().unwrap_or_default().chars().take(120).collect(),
    }
}

/// A stage's name, `reduce at /folder/of/the/job.py:20`, with the file alone: the folder is the node's, and says nothing.
fn spoken(name: &str) -> String {
    let file = |place: &str| place.rsplit('/').next().unwrap_or(place).to_owned();
    match name.rsplit_once(" at /") {
        Some((what, place)) => format!("{what} at {}", file(place)),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_named_by_file_and_not_by_folder() {
        for (name, says) in [
            ("reduceByKey at /srv/node/code/a.py:20", "reduceByKey at a.py:20"),
            ("collect at a.py:1", "collect at a.py:1"),
            ("", ""),
        ] {
            assert_eq!(spoken(name), says);
        }
    }

    #[test]
    fn skipped_stages_do_not_count() {
        let stage = |status: &str, tasks, done| {
            format!(
                r#"{{"status":"{status}","name":"collect at a.py:1","numTasks":{tasks},"numCompleteTasks":{done},"numFailedTasks":1,"x":2}}"#
            )
        };
        let json = format!(
            "[{},{},{}]",
            stage("COMPLETE", 4, 4),
            stage("ACTIVE", 8, 3),
            stage("SKIPPED", 5, 0)
        );
        let stages: Vec<StagePage> = serde_json::from_str(&json).unwrap();
        let jobs: Vec<JobPage> =
            serde_json::from_str(r#"[{"status":"SUCCEEDED","jobId":1},{"status":"RUNNING"}]"#).unwrap();
        let progress = sum(&jobs, &stages);
        assert_eq!((progress.jobs_done, progress.jobs_total), (1, 2));
        assert_eq!((progress.stages_done, progress.stages_total), (1, 2));
        assert_eq!(
            (progress.tasks_done, progress.tasks_total, progress.tasks_failed),
            (7, 12, 2)
        );
        assert_eq!(progress.active_stage, "collect at a.py:1");
    }
}
