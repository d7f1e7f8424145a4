//! How far the job is, from the driver's own REST pages. Never fails the job: what cannot be read is not shown.

use std::time::Duration;

use mayfly_proto::v1::Progress;
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Between two looks at a driver that answers at once.
const POLL: Duration = Duration::from_secs(1);
/// An answer takes processor time that the driver's job wants: who answers slowly is asked more seldom, so that answers take
/// one part in so many of the time.
const SHARE: u32 = 20;
/// Between two looks at most.
const POLL_MAX: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Application {
    id: String,
}

/// A job's counts. The list of all stages would do as well, but each of them carries its accumulators: it grows to
/// megabytes, which the driver makes anew for each look.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobPage {
    status: String,
    stage_ids: Vec<u32>,
    num_completed_stages: u32,
    num_skipped_stages: u32,
    num_tasks: u32,
    num_completed_tasks: u32,
    num_skipped_tasks: u32,
    num_failed_tasks: u32,
}

/// A stage that runs.
#[derive(Deserialize)]
struct StagePage {
    name: String,
}

/// Polls until its task is dropped; `ui` as [`super::Engine::driver_ui`] gives it.
pub async fn follow(ui: String, report: watch::Sender<Progress>) {
    let client = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build();
    let Ok(client) = client else { return };
    loop {
        if let Some(pages) = application(&client, &ui).await {
            follow_one(&client, &pages, &report).await;
        }
        sleep(POLL).await;
    }
}

/// Where the pages of the driver's application are. The first question takes the driver half a second, whatever is asked.
async fn application(client: &Client, ui: &str) -> Option<String> {
    let all: Vec<Application> = get(client, format!("{ui}/api/v1/applications")).await?;
    Some(format!("{ui}/api/v1/applications/{}", all.first()?.id))
}

/// Until a look fails: a program may stop its session and begin another one.
async fn follow_one(client: &Client, pages: &str, report: &watch::Sender<Progress>) {
    loop {
        let asked = Instant::now();
        let Some(progress) = look(client, pages).await else {
            return;
        };
        report.send_replace(progress);
        sleep(pause(asked.elapsed())).await;
    }
}

/// Before the next look, when the last one was answered within `took`.
fn pause(took: Duration) -> Duration {
    (took * SHARE).clamp(POLL, POLL_MAX)
}

async fn look(client: &Client, pages: &str) -> Option<Progress> {
    let jobs: Vec<JobPage> = get(client, format!("{pages}/jobs")).await?;
    let active: Vec<StagePage> = get(client, format!("{pages}/stages?status=active")).await?;
    Some(sum(&jobs, &active))
}

async fn get<T: for<'a> Deserialize<'a>>(client: &Client, url: String) -> Option<T> {
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

/// What is skipped never runs, so it is not of the total.
fn sum(jobs: &[JobPage], active: &[StagePage]) -> Progress {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let all = |of: fn(&JobPage) -> u32| jobs.iter().map(of).fold(0, u32::saturating_add);
    Progress {
        jobs_done: count(jobs.iter().filter(|job| job.status == "SUCCEEDED").count()),
        jobs_total: count(jobs.len()),
        stages_done: all(|job| job.num_completed_stages),
        stages_total: count(jobs.iter().map(|job| job.stage_ids.len()).sum())
            .saturating_sub(all(|job| job.num_skipped_stages)),
        tasks_done: all(|job| job.num_completed_tasks),
        tasks_total: all(|job| job.num_tasks).saturating_sub(all(|job| job.num_skipped_tasks)),
        tasks_failed: all(|job| job.num_failed_tasks),
        active_stage: active
            .iter()
            .map(|stage| spoken(&stage.name))
            .max()
            .unwrap_or_default()
            .chars()
            .take(120)
            .collect(),
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
    fn what_is_skipped_does_not_count() {
        let job = |status: &str, stages: &str, skipped: u32, tasks: u32, done: u32| {
            format!(
                r#"{{"status":"{status}","stageIds":[{stages}],"numCompletedStages":1,"numSkippedStages":{skipped},
                "numTasks":{tasks},"numCompletedTasks":{done},"numSkippedTasks":{},"numFailedTasks":1,"jobId":2}}"#,
                5 * skipped
            )
        };
        let json = format!(
            "[{},{}]",
            job("SUCCEEDED", "1,2", 1, 9, 4),
            job("RUNNING", "4,5", 0, 8, 3)
        );
        let jobs: Vec<JobPage> = serde_json::from_str(&json).unwrap();
        let active: Vec<StagePage> =
            serde_json::from_str(r#"[{"status":"ACTIVE","name":"collect at a.py:1"}]"#).unwrap();
        let progress = sum(&jobs, &active);
        assert_eq!((progress.jobs_done, progress.jobs_total), (1, 2));
        assert_eq!((progress.stages_done, progress.stages_total), (2, 3));
        assert_eq!(
            (progress.tasks_done, progress.tasks_total, progress.tasks_failed),
            (7, 12, 2)
        );
        assert_eq!(progress.active_stage, "collect at a.py:1");
    }

    #[test]
    fn a_driver_that_answers_slowly_is_asked_more_seldom() {
        for (took_ms, pause_ms) in [(2, 1_000), (100, 2_000), (3_000, 5_000)] {
            let took = Duration::from_millis(took_ms);
            assert_eq!(pause(took), Duration::from_millis(pause_ms), "{took:?}");
        }
    }
}
