//! What Spark itself tells of a run, added up.

use serde::{Deserialize, Serialize};

/// Spark's own numbers of one attempt. Times are in seconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Applications that the job started.
    pub applications: u32,
    /// Jobs begun, and failed.
    pub jobs: u32,
    /// See `jobs`.
    pub jobs_failed: u32,
    /// Stages that ran, and failed.
    pub stages: u32,
    /// See `stages`.
    pub stages_failed: u32,
    /// Tasks that ended, and failed.
    pub tasks: u64,
    /// See `tasks`.
    pub tasks_failed: u64,
    /// From the launch of each task to its end, added up.
    pub task_secs: f64,
    /// CPU time of the JVM in tasks; what Python workers used is not of it.
    pub task_cpu_secs: f64,
    /// Time that executors spent in garbage collection.
    pub gc_secs: f64,
    /// Cores of executors times the time they were there.
    pub executor_core_secs: f64,
    /// Most cores that executors had at one time.
    pub cores: u32,
    /// Executors that came, and that were lost.
    pub executors: u32,
    /// See `executors`.
    pub executors_lost: u32,
    /// Read from and written to storage.
    pub input_bytes: u64,
    /// See `input_bytes`.
    pub output_bytes: u64,
    /// Moved between tasks.
    pub shuffle_read_bytes: u64,
    /// See `shuffle_read_bytes`.
    pub shuffle_write_bytes: u64,
    /// Written to disk because memory did not suffice.
    pub spilled_bytes: u64,
    /// Begin of the first task and end of the last one, in milliseconds of Unix time; zero without a task.
    pub first_task_ms: i64,
    /// See `first_task_ms`.
    pub last_task_ms: i64,
    /// The stage that waited longest for one of its tasks, if that was much longer than the others.
    pub skew: Option<Skew>,
    /// Why tasks failed: each reason once, the latest last.
    pub failures: Vec<Failure>,
    /// Executors that Spark lost, the latest last.
    pub lost: Vec<Lost>,
    /// What Spark said of jobs and stages that failed, the latest last.
    pub errors: Vec<String>,
    /// Stages that had not ended when the log did.
    pub unfinished: Vec<Unfinished>,
    /// How long the tasks would have taken on other numbers of cores.
    #[serde(default)]
    pub scaling: Option<Scaling>,
    /// Lines that were too long, or not JSON, and so are missing here.
    pub skipped_lines: u64,
    /// Whether the log ends in the middle.
    pub cut: bool,
}

impl Summary {
    /// Share of the executors' time in which their cores had a task, from 0 to 1; `None` without executors.
    #[must_use]
    pub fn busy(&self) -> Option<f64> {
        (self.executor_core_secs > 0.0).then(|| (self.task_secs / self.executor_core_secs).clamp(0.0, 1.0))
    }
}

/// A stage of which one task took much longer than the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// Spark's number of the stage.
    pub stage: u32,
    /// Its name, such as `count at main.py:12`.
    pub name: String,
    /// Its tasks.
    pub tasks: u64,
    /// The task in the middle, in seconds.
    pub median_secs: f64,
    /// The longest one, in seconds.
    pub longest_secs: f64,
}

/// Why tasks failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Spark's word: `ExceptionFailure`, `ExecutorLostFailure`, `FetchFailed`, …
    pub reason: String,
    /// Class of the exception; empty without one.
    pub class: String,
    /// Its message, or why the executor was lost; cut at some thousand characters.
    pub said: String,
    /// Stage it happened in first.
    pub stage: u32,
    /// How often.
    pub times: u64,
}

/// An executor that Spark lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Spark's number of it.
    pub executor: String,
    /// Where it ran.
    pub host: String,
    /// What Spark says.
    pub reason: String,
}

/// A stage that had not ended when the log did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Spark's number of the stage.
    pub stage: u32,
    /// Its name.
    pub name: String,
    /// Its tasks.
    pub tasks: u64,
    /// Those that had ended.
    pub done: u64,
    /// Those that ran.
    pub running: u64,
    /// The middle one of those that had ended, in seconds.
    pub median_secs: f64,
    /// How long the oldest of those that ran had been running, in seconds.
    pub oldest_secs: f64,
}

/// How long tasks take on so many cores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Cores.
    pub cores: u32,
    /// Time in which at least one task runs, in seconds.
    pub secs: f64,
}

/// How the time in which tasks run depends on the cores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Cores that there were.
    pub cores: u32,
    /// Time in which at least one task ran, in seconds.
    pub secs: f64,
    /// The same on other numbers of cores, by cores.
    pub points: Vec<Point>,
}

impl Scaling {
    /// The time on so many cores, between the points that are known; `None` beyond them.
    #[must_use]
    pub fn at(&self, cores: u32) -> Option<f64> {
        let after = self.points.iter().find(|point| point.cores >= cores)?;
        if after.cores == cores {
            return Some(after.secs);
        }
        let before = self.points.iter().rfind(|point| point.cores < cores)?;
        let part = f64::from(cores - before.cores) / f64::from(after.cores - before.cores);
        Some(before.secs + (after.secs - before.secs) * part)
    }
}
