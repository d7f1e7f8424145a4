//! The events that are looked at, and what is taken of each: the shapes are those of Spark's `JsonProtocol`.

use serde::Deserialize;

/// One line of an event log.
#[derive(Debug, Deserialize)]
#[serde(tag = "Event")]
pub(super) enum Event {
    #[serde(rename = "SparkListenerApplicationStart")]
    ApplicationStart {},
    #[serde(rename = "SparkListenerApplicationEnd")]
    ApplicationEnd {
        #[serde(rename = "Timestamp")]
        at: i64,
    },
    #[serde(rename = "SparkListenerExecutorAdded")]
    ExecutorAdded {
        #[serde(rename = "Timestamp")]
        at: i64,
        #[serde(rename = "Executor ID")]
        executor: String,
        #[serde(rename = "Executor Info")]
        info: ExecutorInfo,
    },
    #[serde(rename = "SparkListenerExecutorRemoved")]
    ExecutorRemoved {
        #[serde(rename = "Timestamp")]
        at: i64,
        #[serde(rename = "Executor ID")]
        executor: String,
        #[serde(rename = "Removed Reason", default)]
        reason: String,
    },
    #[serde(rename = "SparkListenerJobStart")]
    JobStart {},
    #[serde(rename = "SparkListenerJobEnd")]
    JobEnd {
        #[serde(rename = "Job Result")]
        result: JobResult,
    },
    #[serde(rename = "SparkListenerStageSubmitted")]
    StageSubmitted {
        #[serde(rename = "Stage Info")]
        stage: StageInfo,
    },
    #[serde(rename = "SparkListenerStageCompleted")]
    StageCompleted {
        #[serde(rename = "Stage Info")]
        stage: StageInfo,
    },
    #[serde(rename = "SparkListenerTaskStart")]
    TaskStart {
        #[serde(rename = "Stage ID")]
        stage: u32,
        #[serde(rename = "Task Info")]
        task: TaskInfo,
    },
    #[serde(rename = "SparkListenerTaskEnd")]
    TaskEnd(Box<TaskEnd>),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorInfo {
    #[serde(rename = "Host", default)]
    pub(super) host: String,
    #[serde(rename = "Total Cores")]
    pub(super) cores: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobResult {
    #[serde(rename = "Result")]
    pub(super) result: String,
    #[serde(rename = "Exception")]
    pub(super) exception: Option<Exception>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Exception {
    #[serde(rename = "Message", default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct StageInfo {
    #[serde(rename = "Stage ID")]
    pub(super) id: u32,
    #[serde(rename = "Stage Name", default)]
    pub(super) name: String,
    #[serde(rename = "Number of Tasks", default)]
    pub(super) tasks: u64,
    #[serde(rename = "Failure Reason")]
    pub(super) failure: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskInfo {
    #[serde(rename = "Task ID")]
    pub(super) id: u64,
    #[serde(rename = "Launch Time")]
    pub(super) launched: i64,
    #[serde(rename = "Finish Time", default)]
    pub(super) finished: i64,
    /// A number, or `driver` for a local session.
    #[serde(rename = "Executor ID", default)]
    pub(super) executor: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskEnd {
    #[serde(rename = "Stage ID")]
    pub(super) stage: u32,
    #[serde(rename = "Task End Reason")]
    pub(super) end: EndReason,
    #[serde(rename = "Task Info")]
    pub(super) task: TaskInfo,
    #[serde(rename = "Task Metrics")]
    pub(super) metrics: Option<Metrics>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EndReason {
    #[serde(rename = "Reason")]
    pub(super) reason: String,
    #[serde(rename = "Class Name", default)]
    pub(super) class: String,
    #[serde(rename = "Description", default)]
    pub(super) description: String,
    #[serde(rename = "Loss Reason", default)]
    pub(super) loss: String,
    #[serde(rename = "Message", default)]
    pub(super) message: String,
    #[serde(rename = "Kill Reason", default)]
    pub(super) kill: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metrics {
    #[serde(rename = "Executor CPU Time")]
    pub(super) cpu_nanos: u64,
    #[serde(rename = "JVM GC Time")]
    pub(super) gc_ms: u64,
    #[serde(rename = "Disk Bytes Spilled")]
    pub(super) disk_spilled: u64,
    #[serde(rename = "Shuffle Read Metrics")]
    pub(super) shuffle_read: ShuffleRead,
    #[serde(rename = "Shuffle Write Metrics")]
    pub(super) shuffle_write: ShuffleWrite,
    #[serde(rename = "Input Metrics")]
    pub(super) input: Input,
    #[serde(rename = "Output Metrics")]
    pub(super) output: Output,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShuffleRead {
    #[serde(rename = "Remote Bytes Read")]
    pub(super) remote: u64,
    #[serde(rename = "Local Bytes Read")]
    pub(super) local: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShuffleWrite {
    #[serde(rename = "Shuffle Bytes Written")]
    pub(super) bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    #[serde(rename = "Bytes Read")]
    pub(super) bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    #[serde(rename = "Bytes Written")]
    pub(super) bytes: u64,
}
