//! The programs of a job, one after the other.

use std::collections::VecDeque;

use mayfly_kit::records::StepEntry;
use mayfly_proto::engine::Peer;
use mayfly_proto::v1::{Code, Step};
use tokio::time::Instant;

use crate::supervise::Exit;

/// Those to come, the one that runs, and how the others ended.
#[derive(Default)]
pub(super) struct Steps {
    /// A job that is one program has no steps for people.
    several: bool,
    to_come: VecDeque<Step>,
    running: Option<(Step, Instant)>,
    done: Vec<StepEntry>,
    failed: Option<Exit>,
    workers: Vec<Peer>,
}

impl Steps {
    pub(super) fn of(code: &Code, workers: Vec<Peer>) -> Self {
        let alone = Step {
            entry: code.entry.clone(),
            class: code.class.clone(),
            args: code.args.clone(),
            command: code.command.clone(),
            ..Step::default()
        };
        let several = !code.steps.is_empty();
        Self {
            several,
            to_come: if several {
                code.steps.clone().into()
            } else {
                [alone].into()
            },
            workers,
            ..Self::default()
        }
    }

    /// The next one, which runs from now on.
    pub(super) fn begin(&mut self) -> Option<Step> {
        let step = self.to_come.pop_front()?;
        if self.several {
            let number = self.done.len() + 1;
            tracing::info!(step = step.name, number, "step begins");
        }
        self.running = Some((step.clone(), Instant::now()));
        Some(step)
    }

    /// The one that runs has ended; true when there is another one to begin.
    pub(super) fn ended(&mut self, exit: Exit) -> bool {
        let Some((step, began)) = self.running.take() else {
            return false;
        };
        if !exit.success() {
            self.failed.get_or_insert(exit);
        }
        self.done.push(StepEntry {
            name: step.name,
            exit_code: exit.code,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        (exit.success() || step.go_on) && !self.to_come.is_empty()
    }

    /// How the first one that failed ended.
    pub(super) fn failed(&self) -> Option<Exit> {
        self.failed
    }

    /// For the commit: nothing where the job is one program.
    pub(super) fn done(&self) -> Vec<StepEntry> {
        if self.several {
            self.done.clone()
        } else {
            Vec::new()
        }
    }

    pub(super) fn workers(&self) -> Vec<Peer> {
        self.workers.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> Exit {
        Exit {
            code: Some(code),
            ..Exit::default()
        }
    }

    fn code(steps: &[(&str, bool)]) -> Code {
        let step = |&(name, go_on): &(&str, bool)| Step {
            name: name.into(),
            entry: format!("{name}.py"),
            go_on,
            ..Step::default()
        };
        Code {
            entry: "main.py".into(),
            steps: steps.iter().map(step).collect(),
            ..Code::default()
        }
    }

    /// Exit codes in turn; returns what was run.
    fn run(steps: &[(&str, bool)], codes: &[i32]) -> (Vec<String>, Steps) {
        let mut all = Steps::of(&code(steps), Vec::new());
        let mut ran = Vec::new();
        for code in codes {
            ran.push(all.begin().unwrap().entry);
            if !all.ended(exit(*code)) {
                break;
            }
        }
        (ran, all)
    }

    #[test]
    fn a_step_that_fails_is_the_last_unless_it_is_told_otherwise() {
        let (ran, all) = run(&[("a", false), ("b", false), ("c", false)], &[0, 3, 0]);
        assert_eq!(ran, ["a.py", "b.py"]);
        assert_eq!(all.failed().unwrap().code, Some(3));
        assert_eq!(all.done().len(), 2);
        let (ran, all) = run(&[("a", true), ("b", false)], &[3, 0]);
        assert_eq!(ran, ["a.py", "b.py"]);
        assert_eq!(
            all.failed().unwrap().code,
            Some(3),
            "the job has failed all the same"
        );
    }

    #[test]
    fn a_job_of_one_program_has_no_steps() {
        let (ran, all) = run(&[], &[0]);
        assert_eq!((ran, all.done()), (vec!["main.py".to_owned()], vec![]));
    }
}
