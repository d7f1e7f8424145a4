//! Makes the record durable: always the latest one, by compare-and-swap, as `coordinator/src/driver/saver.rs`.

use std::rc::Rc;

use mayfly_proto::RunId;

use super::{RETRY, Step};
use crate::call::{If, Out, Req, Res, Ticket, Work};
use crate::planted::shell;
use crate::product::kit::layout;

/// The saver.
pub(super) struct Saver {
    etag: u64,
    latest: Option<(u64, Rc<[u8]>)>,
    sending: Option<(u64, Rc<[u8]>)>,
    version: u64,
    saved: u64,
    step: Step,
    reading: bool,
}

impl Saver {
    pub(super) fn new(etag: u64) -> Self {
        Self {
            etag,
            latest: None,
            sending: None,
            version: 0,
            saved: 0,
            step: Step::default(),
            reading: false,
        }
    }

    /// The number of the newest record.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The number of the newest one that is durable.
    pub(super) fn saved(&self) -> u64 {
        self.saved
    }

    pub(super) fn is_idle(&self) -> bool {
        self.saved >= self.version
    }

    pub(super) fn save(&mut self, run: &RunId, text: Vec<u8>, out: &mut Out) {
        self.version += 1;
        self.latest = Some((self.version, text.into()));
        if self.sending.is_none() {
            self.send(run, out);
        }
    }

    fn send(&mut self, run: &RunId, out: &mut Out) {
        if self.sending.is_none() {
            self.sending = self.latest.take();
        }
        let Some((_, text)) = &self.sending else { return };
        self.reading = false;
        let ticket = self.step.next(Work::Save);
        let key = layout::record(run);
        let condition = if shell("record-over-another") {
            If::Any
        } else {
            If::Match(self.etag)
        };
        out.call(ticket, Req::Put(key, Rc::clone(text), condition));
    }

    /// False when another coordinator writes this record.
    pub(super) fn reply(&mut self, run: &RunId, ticket: Ticket, res: Res, out: &mut Out) -> bool {
        if !self.step.is(ticket) {
            return true;
        }
        match res {
            Res::Stored(etag) => self.done(run, etag, out),
            Res::Refused => {
                self.reading = true;
                let ticket = self.step.next(Work::Save);
                out.call(ticket, Req::Get(layout::record(run)));
            }
            Res::Got(there) => {
                let ours = self.sending.as_ref().map(|(_, text)| text);
                match there {
                    // Our own write whose reply was lost.
                    Some((bytes, etag)) if Some(&bytes) == ours => self.done(run, etag, out),
                    Some(_) | None => {
                        self.step.open = false;
                        return false;
                    }
                }
            }
            _ => out.wake(self.step.next(Work::Save), RETRY),
        }
        true
    }

    fn done(&mut self, run: &RunId, etag: u64, out: &mut Out) {
        self.etag = etag;
        self.step.open = false;
        if let Some((version, _)) = self.sending.take() {
            self.saved = version;
        }
        if self.latest.is_some() {
            self.send(run, out);
        }
    }

    pub(super) fn again(&mut self, run: &RunId, ticket: Ticket, out: &mut Out) {
        if self.step.is(ticket) {
            self.send(run, out);
        }
    }
}
