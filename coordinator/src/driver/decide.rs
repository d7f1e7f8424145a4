//! What becomes of an attempt: it has committed, or it never will. No I/O: what to ask the store next, and what follows from
//! its answer.
//!
//! A master that cannot be reached may be told to commit and do it at any later moment. So an attempt is given up in the
//! store, where there is one decision for each: the first one stands, and the master's commit is one too.

use mayfly_kit::layout;
use mayfly_kit::records::{Commit, Decision};
use mayfly_proto::{Attempt, RunId};

/// What the store is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// For this object.
    Get(String),
    /// To keep this object, if there is none of this key.
    PutNew(String, Vec<u8>),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The object, if there is one.
    Got(Option<Vec<u8>>),
    /// It is kept; or false, because one was there.
    Put(bool),
}

/// What follows.
pub(crate) enum Next {
    /// Another question.
    Ask(Decide, Call),
    /// The run's commit. Without one this attempt has none, and never will.
    Done(Option<Commit>),
}

/// How far the question is.
pub(crate) struct Decide {
    run: RunId,
    attempt: Attempt,
    stage: Stage,
}

enum Stage {
    /// Whether the run has a commit.
    Asking,
    /// The attempt is being given up.
    GivingUp,
    /// It was decided before.
    Decided,
    /// Its master decided, and did not come to say so to everybody.
    Publishing(Box<Commit>),
}

/// A commit of this run; what is none is told and ignored.
pub(crate) fn commit_in(run: &RunId, bytes: &[u8]) -> Option<Commit> {
    match serde_json::from_slice::<Commit>(bytes) {
        Ok(commit) if commit.run == *run => Some(commit),
        Ok(commit) => {
            tracing::error!(%run, other = %commit.run, "the commit in this run's folder is of another run: ignored");
            None
        }
        Err(error) => {
            tracing::error!(%run, %error, "what is stored as the commit of this run is not one: ignored");
            None
        }
    }
}

impl Decide {
    /// Begins.
    pub(crate) fn begin(run: RunId, attempt: Attempt) -> Next {
        let key = layout::commit(&run);
        let stage = Stage::Asking;
        Next::Ask(Self { run, attempt, stage }, Call::Get(key))
    }

    /// The answer to what was asked last.
    pub(crate) fn take(mut self, reply: Reply) -> Next {
        let decision = layout::decision(&self.run, self.attempt);
        match (std::mem::replace(&mut self.stage, Stage::Asking), reply) {
            (Stage::Asking, Reply::Got(object)) => {
                let found = object.and_then(|bytes| commit_in(&self.run, &bytes));
                if found.is_some() {
                    return Next::Done(found);
                }
                let given_up = Decision::given_up(&self.run, self.attempt);
                let bytes = serde_json::to_vec(&given_up).unwrap_or_default();
                self.stage = Stage::GivingUp;
                Next::Ask(self, Call::PutNew(decision, bytes))
            }
            (Stage::GivingUp, Reply::Put(true)) => Next::Done(None),
            (Stage::GivingUp, Reply::Put(false)) => {
                self.stage = Stage::Decided;
                Next::Ask(self, Call::Get(decision))
            }
            (Stage::Decided, Reply::Got(object)) => match self.committed(object) {
                Some(commit) => {
                    let bytes = serde_json::to_vec(&commit).unwrap_or_default();
                    let key = layout::commit(&self.run);
                    self.stage = Stage::Publishing(Box::new(commit));
                    Next::Ask(self, Call::PutNew(key, bytes))
                }
                None => Next::Done(None),
            },
            // That it is there already is what was wanted.
            (Stage::Publishing(commit), Reply::Put(_)) => Next::Done(Some(*commit)),
            (Stage::Asking | Stage::Decided, Reply::Put(_))
            | (Stage::GivingUp | Stage::Publishing(_), Reply::Got(_)) => Self::begin(self.run, self.attempt),
        }
    }

    fn committed(&self, object: Option<Vec<u8>>) -> Option<Commit> {
        match serde_json::from_slice::<Decision>(&object?) {
            Ok(Decision::Committed(commit)) if commit.run == self.run => Some(commit),
            Ok(Decision::Committed(_) | Decision::GivenUp { .. }) => None,
            Err(error) => {
                tracing::error!(run = %self.run, attempt = %self.attempt, %error, "what is stored as the decision on this attempt is none: ignored");
                None
            }
        }
    }
}
