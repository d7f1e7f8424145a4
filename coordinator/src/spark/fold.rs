//! Adds up the events of one attempt. Memory is bounded whatever the log holds.

use std::collections::{BTreeMap, HashMap};

use super::event::{EndReason, Event, StageInfo, TaskEnd, TaskInfo};
use super::model::{Span, Spans};
use crate::record::{Failure, Lost, Skew, Summary, Unfinished};

/// Different reasons of failures, lost executors and errors that are kept: the latest ones.
const KEPT: usize = 8;
/// Longest text kept of one of them, in characters.
const SAID_MAX: usize = 4_000;
/// Longest name of a stage, in characters.
const NAME_MAX: usize = 120;
/// Stages and running tasks followed at one time; what is beyond is not.
const OPEN_MAX: usize = 10_000;
/// Durations kept of one stage, for the one in the middle.
const DURATIONS_MAX: usize = 20_000;
/// A stage is skewed when its longest task takes so many times the one in the middle, and this long at least.
const SKEW_TIMES: f64 = 4.0;
const SKEW_SECS: f64 = 5.0;
/// What Spark says of a stage that had not ended when the application was told to.
const SHUT_DOWN: &str = "SparkContext was shut down";
/// Executors that end so shortly before the application, in milliseconds, were told to as well.
const STOP_MS: i64 = 10_000;

#[derive(Debug, Default)]
struct Stage {
    name: String,
    tasks: u64,
    done: u64,
    durations_ms: Vec<u32>,
    /// When tasks began that their executor's end broke off, and when it did.
    broken: Vec<(i64, i64)>,
}

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Fold {
    summary: Summary,
    stages: BTreeMap<u32, Stage>,
    running: HashMap<u64, (u32, i64)>,
    executors: HashMap<String, (String, u32, i64)>,
    spans: Spans,
    last_ms: i64,
}

impl Fold {
    /// Takes one line of a log.
    pub fn line(&mut self, line: &[u8]) {
        // Most of a log's bytes are plans of SQL and properties, which are not looked at.
        if !line.starts_with(b"{\"Event\":\"SparkListener") {
            return;
        }
        match serde_json::from_slice(line) {
            Ok(event) => self.event(event),
            Err(_) => self.summary.skipped_lines += 1,
        }
    }

    /// Lines that could not be given, and whether the log broke off.
    pub fn missed(&mut self, skipped: u64, cut: bool) {
        self.summary.skipped_lines += skipped;
        self.summary.cut |= cut;
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::ApplicationStart {} => self.summary.applications += 1,
            Event::ApplicationEnd { at } => self.over(at),
            Event::ExecutorAdded { at, executor, info } => {
                self.last_ms = self.last_ms.max(at);
                if self.executors.len() < OPEN_MAX {
                    self.summary.executors += 1;
                    self.executors.insert(executor, (info.host, info.cores, at));
                }
                let cores = self.executors.values().map(|(_, cores, _)| cores).sum();
                self.summary.cores = self.summary.cores.max(cores);
            }
            Event::ExecutorRemoved { at, executor, reason } => self.removed(at, executor, &reason),
            Event::JobStart {} => self.summary.jobs += 1,
            Event::JobEnd { result } => {
                if result.result != "JobSucceeded" {
                    self.summary.jobs_failed += 1;
                    self.error(&result.exception.map(|e| e.message).unwrap_or_default());
                }
            }
            Event::StageSubmitted { stage } => self.submitted(stage),
            Event::StageCompleted { stage } => self.completed(&stage),
            Event::TaskStart { stage, task } => self.started(stage, &task),
            Event::TaskEnd(end) => self.ended(&end),
            Event::Other => {}
        }
    }

    fn over(&mut self, at: i64) {
        self.last_ms = self.last_ms.max(at);
        for (_, (_, cores, since)) in self.executors.drain() {
            self.summary.executor_core_secs += f64::from(cores) * secs(since, at);
        }
        // An application that is told to end says so before its tasks do.
        for (id, stage) in &self.stages {
            if let Some(open) = unfinished(*id, stage, &self.running, at) {
                keep(&mut self.summary.unfinished, open);
            }
        }
        self.running.clear();
        self.stages.clear();
    }

    fn removed(&mut self, at: i64, executor: String, reason: &str) {
        self.last_ms = self.last_ms.max(at);
        let Some((host, cores, since)) = self.executors.remove(&executor) else {
            return;
        };
        self.summary.executor_core_secs += f64::from(cores) * secs(since, at);
        self.summary.executors_lost += 1;
        let reason = cut(reason, SAID_MAX);
        keep(
            &mut self.summary.lost,
            Lost {
                executor,
                host,
                reason,
            },
        );
    }

    fn error(&mut self, said: &str) {
        let said = cut(said, SAID_MAX);
        if !said.is_empty() && !self.summary.errors.contains(&said) {
            keep(&mut self.summary.errors, said);
        }
    }

    fn submitted(&mut self, stage: StageInfo) {
        if self.stages.len() < OPEN_MAX {
            let open = Stage {
                name: cut(&stage.name, NAME_MAX),
                tasks: stage.tasks,
                ..Stage::default()
            };
            self.stages.insert(stage.id, open);
        }
    }

    fn completed(&mut self, info: &StageInfo) {
        self.summary.stages += 1;
        if let Some(failure) = &info.failure {
            self.summary.stages_failed += 1;
            self.error(failure);
        }
        let Some(stage) = self.stages.remove(&info.id) else {
            return;
        };
        if info.failure.as_ref().is_some_and(|said| said.contains(SHUT_DOWN)) {
            if let Some(open) = unfinished(info.id, &stage, &self.running, self.last_ms) {
                keep(&mut self.summary.unfinished, open);
            }
            return;
        }
        let skew = skew(info.id, stage);
        let lost = |skew: &Skew| skew.longest_secs - skew.median_secs;
        if let Some(skew) = skew
            && self
                .summary
                .skew
                .as_ref()
                .is_none_or(|known| lost(&skew) > lost(known))
        {
            self.summary.skew = Some(skew);
        }
    }

    fn started(&mut self, stage: u32, task: &TaskInfo) {
        self.last_ms = self.last_ms.max(task.launched);
        if self.summary.first_task_ms == 0 {
            self.summary.first_task_ms = task.launched;
        }
        if self.running.len() < OPEN_MAX {
            self.running.insert(task.id, (stage, task.launched));
        }
    }

    fn ended(&mut self, end: &TaskEnd) {
        self.running.remove(&end.task.id);
        self.last_ms = self.last_ms.max(end.task.finished);
        let summary = &mut self.summary;
        summary.tasks += 1;
        summary.last_task_ms = summary.last_task_ms.max(end.task.finished);
        let took_ms = u32::try_from((end.task.finished - end.task.launched).max(0)).unwrap_or(u32::MAX);
        summary.task_secs += f64::from(took_ms) / 1000.0;
        if let Some(metrics) = &end.metrics {
            summary.task_cpu_secs += nanos(metrics.cpu_nanos);
            summary.gc_secs += std::time::Duration::from_millis(metrics.gc_ms).as_secs_f64();
            summary.spilled_bytes += metrics.disk_spilled;
            summary.shuffle_read_bytes += metrics.shuffle_read.remote + metrics.shuffle_read.local;
            summary.shuffle_write_bytes += metrics.shuffle_write.bytes;
            summary.input_bytes += metrics.input.bytes;
            summary.output_bytes += metrics.output.bytes;
        }
        if end.end.reason == "Success" {
            self.spans.add(Span {
                stage: end.stage,
                executor: end.task.executor.parse().ok(),
                began_ms: end.task.launched,
                ended_ms: end.task.finished,
            });
            if let Some(stage) = self.stages.get_mut(&end.stage) {
                stage.done += 1;
                if stage.durations_ms.len() < DURATIONS_MAX {
                    stage.durations_ms.push(took_ms);
                }
            }
        } else {
            self.summary.tasks_failed += 1;
            if let Some(stage) = self.stages.get_mut(&end.stage)
                && end.end.reason == "ExecutorLostFailure"
                && stage.broken.len() < OPEN_MAX
            {
                stage.broken.push((end.task.launched, end.task.finished));
            }
            self.failed(end.stage, &end.end);
        }
    }

    fn failed(&mut self, stage: u32, end: &EndReason) {
        let texts = [&end.description, &end.loss, &end.message, &end.kill];
        let said = texts.into_iter().find(|text| !text.is_empty());
        let failure = Failure {
            reason: cut(&end.reason, NAME_MAX),
            class: cut(&end.class, NAME_MAX),
            said: cut(said.map_or("", String::as_str), SAID_MAX),
            stage,
            times: 1,
        };
        let same = |known: &&mut Failure| {
            known.reason == failure.reason && known.class == failure.class && known.said == failure.said
        };
        match self.summary.failures.iter_mut().find(same) {
            Some(known) => known.times += 1,
            None => keep(&mut self.summary.failures, failure),
        }
    }

    /// The summary of what has been read.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        let open = self.stages.iter();
        let open = open.filter_map(|(id, stage)| unfinished(*id, stage, &self.running, self.last_ms));
        self.summary.unfinished.extend(open);
        self.summary.unfinished.reverse();
        self.summary.unfinished.truncate(KEPT);
        let last = self.last_ms;
        for (_, (_, cores, since)) in self.executors.drain() {
            self.summary.executor_core_secs += f64::from(cores) * secs(since, last);
        }
        self.summary.scaling = self.spans.scaling(self.summary.cores);
        self.summary
    }
}

fn unfinished(id: u32, stage: &Stage, running: &HashMap<u64, (u32, i64)>, last: i64) -> Option<Unfinished> {
    let mut durations = stage.durations_ms.clone();
    let still = running
        .values()
        .filter(|(of, _)| *of == id)
        .map(|(_, since)| *since);
    let stopped = stage.broken.iter().filter(|(_, until)| last - until <= STOP_MS);
    let mine: Vec<i64> = still.chain(stopped.map(|(since, _)| *since)).collect();
    let oldest = mine.iter().copied().min()?;
    Some(Unfinished {
        stage: id,
        name: stage.name.clone(),
        tasks: stage.tasks,
        done: stage.done,
        running: mine.len() as u64,
        median_secs: median(&mut durations),
        oldest_secs: secs(oldest, last),
    })
}

fn skew(id: u32, mut stage: Stage) -> Option<Skew> {
    let longest_secs = stage
        .durations_ms
        .iter()
        .max()
        .map(|ms| f64::from(*ms) / 1000.0)?;
    let median_secs = median(&mut stage.durations_ms);
    let skewed = stage.durations_ms.len() > 1
        && longest_secs >= SKEW_SECS
        && longest_secs >= SKEW_TIMES * median_secs.max(0.05);
    skewed.then_some(Skew {
        stage: id,
        name: stage.name,
        tasks: stage.tasks,
        median_secs,
        longest_secs,
    })
}

fn median(durations_ms: &mut [u32]) -> f64 {
    durations_ms.sort_unstable();
    // The lower one of two: of two tasks, one short and one long, the short one is what is usual.
    let middle = durations_ms.get(durations_ms.len().saturating_sub(1) / 2);
    middle.map_or(0.0, |ms| f64::from(*ms) / 1000.0)
}

fn keep<T>(list: &mut Vec<T>, value: T) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(value);
}

fn secs(from_ms: i64, to_ms: i64) -> f64 {
    u32::try_from(to_ms.saturating_sub(from_ms).max(0)).map_or(f64::from(u32::MAX), f64::from) / 1000.0
}

fn nanos(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, from: i64, to: i64, end: &str) -> String {
        format!(
            r#"{{"Event":"SparkListenerTaskEnd","Stage ID":3,"Task Type":"ResultTask","Task End Reason":{end},"Task Info":{{"Task ID":{id},"Launch Time":{from},"Finish Time":{to},"Failed":false}},"Task Metrics":{{"Executor CPU Time":500000000,"JVM GC Time":20,"Disk Bytes Spilled":7,"Shuffle Read Metrics":{{"Remote Bytes Read":1,"Local Bytes Read":2}},"Shuffle Write Metrics":{{"Shuffle Bytes Written":4}},"Input Metrics":{{"Bytes Read":8}},"Output Metrics":{{"Bytes Written":16}}}}}}"#
        )
    }

    fn log() -> Vec<String> {
        let mut lines = vec![
            r#"{"Event":"SparkListenerLogStart","Spark Version":"4.0.1"}"#.to_owned(),
            r#"{"Event":"SparkListenerApplicationStart","App Name":"a","Timestamp":0}"#.to_owned(),
            r#"{"Event":"SparkListenerExecutorAdded","Timestamp":0,"Executor ID":"0","Executor Info":{"Host":"127.0.0.2","Total Cores":2,"Log Urls":{}}}"#.to_owned(),
            r#"{"Event":"SparkListenerJobStart","Job ID":0,"Stage IDs":[3]}"#.to_owned(),
            r#"{"Event":"SparkListenerStageSubmitted","Stage Info":{"Stage ID":3,"Stage Name":"count at a.py:1","Number of Tasks":4}}"#.to_owned(),
            r#"{"Event":"SparkListenerTaskStart","Stage ID":3,"Task Info":{"Task ID":1,"Launch Time":1000}}"#.to_owned(),
        ];
        lines.extend((1..=3).map(|n| task(n, 1000, 1500, r#"{"Reason":"Success"}"#)));
        lines
    }

    fn fold(lines: &[String]) -> Summary {
        let mut fold = Fold::default();
        lines.iter().for_each(|line| fold.line(line.as_bytes()));
        fold.finish()
    }

    #[test]
    fn numbers_are_added_up() {
        let mut lines = log();
        lines.push(task(4, 1500, 9500, r#"{"Reason":"Success"}"#));
        lines.push(r#"{"Event":"SparkListenerStageCompleted","Stage Info":{"Stage ID":3,"Stage Name":"count at a.py:1","Number of Tasks":4}}"#.to_owned());
        lines.push(
            r#"{"Event":"SparkListenerJobEnd","Job ID":0,"Job Result":{"Result":"JobSucceeded"}}"#.to_owned(),
        );
        lines.push(r#"{"Event":"SparkListenerApplicationEnd","Timestamp":10000}"#.to_owned());
        lines.push("not json".to_owned());
        lines.push("{\"Event\":\"SparkListenerTaskEnd\",".to_owned());
        let summary = fold(&lines);
        assert_eq!((summary.jobs, summary.stages, summary.tasks), (1, 1, 4));
        assert_eq!((summary.first_task_ms, summary.last_task_ms), (1000, 9500));
        assert_eq!((summary.executor_core_secs, summary.task_secs), (20.0, 9.5));
        assert_eq!(summary.busy(), Some(0.475));
        assert_eq!((summary.input_bytes, summary.spilled_bytes), (32, 28));
        assert_eq!(summary.skipped_lines, 1);
        let skew = summary.skew.unwrap();
        assert_eq!((skew.median_secs, skew.longest_secs), (0.5, 8.0));
        assert!(summary.unfinished.is_empty() && summary.failures.is_empty());
    }

    #[test]
    fn what_failed_is_kept_once_and_what_had_not_ended_is_told() {
        let mut lines = log();
        let end = r#"{"Reason":"ExceptionFailure","Class Name":"java.lang.OutOfMemoryError","Description":"Java heap space","Stack Trace":[]}"#;
        lines.push(task(5, 1500, 1600, end));
        lines.push(task(6, 1600, 1700, end));
        lines.push(r#"{"Event":"SparkListenerExecutorRemoved","Timestamp":2000,"Executor ID":"0","Removed Reason":"Command exited with code 52"}"#.to_owned());
        lines.push(
            r#"{"Event":"SparkListenerTaskStart","Stage ID":3,"Task Info":{"Task ID":7,"Launch Time":2000}}"#
                .to_owned(),
        );
        lines.push(task(8, 31_000, 32_000, r#"{"Reason":"Success"}"#));
        let summary = fold(&lines);
        assert_eq!(summary.failures.len(), 1);
        assert_eq!((summary.failures[0].times, summary.tasks_failed), (2, 2));
        assert_eq!(summary.lost[0].reason, "Command exited with code 52");
        // Of four tasks one runs on, alone.
        let open = &summary.unfinished[0];
        assert_eq!((open.tasks, open.done, open.running), (4, 4, 1));
        assert!(open.oldest_secs >= 30.0 && open.median_secs < 1.1, "{open:?}");
    }

    #[test]
    fn a_stage_that_was_told_to_end_had_not_ended() {
        let stage = |what: &str, more: &str| {
            format!(
                r#"{{"Event":"SparkListenerStage{what}","Stage Info":{{"Stage ID":3,"Stage Name":"collect at a.py:2","Number of Tasks":3{more}}}}}"#
            )
        };
        let started =
            r#"{"Event":"SparkListenerTaskStart","Stage ID":3,"Task Info":{"Task ID":7,"Launch Time":3000}}"#;
        let done = r#"{"Reason":"Success"}"#;
        let lost = r#"{"Reason":"ExecutorLostFailure","Loss Reason":"Worker shutting down"}"#;
        let told = r#","Failure Reason":"Stage cancelled because SparkContext was shut down""#;
        let over = r#"{"Event":"SparkListenerApplicationEnd","Timestamp":60000}"#.to_owned();
        let end = [task(7, 3000, 60_000, lost), stage("Completed", told)];
        // Spark says so in either order.
        let over = std::slice::from_ref(&over);
        for end in [[&end[..], over].concat(), [over, &end[..]].concat()] {
            let mut lines = vec![stage("Submitted", ""), started.to_owned()];
            lines.extend([task(5, 3000, 4000, done), task(6, 3000, 4000, done)]);
            lines.extend(end);
            let summary = fold(&lines);
            let [open] = &summary.unfinished[..] else {
                panic!("{summary:#?}")
            };
            assert_eq!((open.tasks, open.done, open.running), (3, 2, 1));
            assert!((open.oldest_secs - 57.0).abs() < 0.1, "{open:?}");
            assert_eq!(summary.skew, None);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut fold = Fold::default();
        for n in 0..100_000_u64 {
            let end = format!(r#"{{"Reason":"ExceptionFailure","Class Name":"C","Description":"{n}"}}"#);
            fold.line(task(n, 0, 1, &end).as_bytes());
        }
        let summary = fold.finish();
        assert_eq!((summary.failures.len(), summary.tasks_failed), (KEPT, 100_000));
    }
}
