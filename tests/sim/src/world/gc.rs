//! Somebody looks for what is left over, from another machine: twice, as `coordinator/src/gc/fleet.rs`.

use super::{Event, World};
use crate::call::{Aws, Left, Req, Res, Ticket, Who, Work};
use crate::planted::shell;
use crate::product::coordinator::gc::verdict::{Verdict, verdict};
use crate::time::{Ms, SEC, skewed};

/// Between the two looks that must agree.
const AGAIN: Ms = 10 * SEC;

/// One who looks.
pub(super) struct Gc {
    skew: i64,
    looks: u32,
}

const TICKET: Ticket = Ticket {
    work: Work::Gc,
    step: 0,
};

impl World {
    pub(super) fn begin_gc(&mut self, skew: i64) {
        let number = self.gcs.len();
        self.gcs.push(Gc { skew, looks: 0 });
        self.after(0, Event::Gc(number));
    }

    pub(super) fn gc(&mut self, number: usize) {
        self.call(Who::Gc(number), TICKET, Req::Aws(Aws::Everything));
    }

    pub(super) fn gc_reply(&mut self, number: usize, res: Res) {
        let now = self.now;
        let (Res::Left(left), Some(gc)) = (res, self.gcs.get_mut(number)) else {
            return;
        };
        let said = verdict(left.deadline, left.lease, skewed(now, gc.skew));
        if left.things == 0 || said != Verdict::LeftOver {
            return;
        }
        gc.looks += 1;
        if gc.looks < 2 && !shell("gc-looks-once") {
            return self.after(AGAIN, Event::Gc(number));
        }
        self.note(|| format!("gc {number} ends what is left"));
        self.clear(number, left);
    }

    fn clear(&mut self, number: usize, left: Left) {
        for name in left.groups {
            self.call(Who::Gc(number), TICKET, Req::Aws(Aws::Delete(name)));
        }
        self.call(Who::Gc(number), TICKET, Req::Aws(Aws::Terminate(left.machines)));
    }
}
