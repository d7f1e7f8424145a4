//! Requests on their way to the store and to the cloud, and their answers.

use super::{Event, World};
use crate::call::{Call, If, Out, Req, Res, Ticket, Who};
use crate::time::{Ms, SEC};

impl World {
    /// Carries out what a part of the simulation wants.
    pub(super) fn carry(&mut self, who: Who, out: Out) {
        for text in out.notes {
            self.note(|| format!("{} {text}", name(who)));
        }
        for (ticket, req) in out.calls {
            self.call(who, ticket, req);
        }
        for (ticket, wait) in out.wakes {
            self.after(wait, Event::Wake(who, ticket));
        }
    }

    pub(super) fn call(&mut self, who: Who, ticket: Ticket, req: Req) {
        let wait = match &req {
            Req::Local(_) => 1,
            Req::Aws(_) => self.chance.between(30, 300),
            Req::Get(_) | Req::Put(..) | Req::List(_) => {
                let slow = self.active.store_slow.by(self.now);
                self.chance.between(5, 40) + self.chance.between(0, slow + 1)
            }
        };
        self.after(wait, Event::Arrive(Box::new(Call { who, ticket, req })));
    }

    fn is_there(&self, who: Who) -> bool {
        match who {
            Who::Coordinator(number, life) => self
                .coordinators
                .get(number)
                .is_some_and(|coordinator| coordinator.up && coordinator.life == life),
            Who::Machine(machine) => self
                .machines
                .get(machine)
                .is_some_and(|machine| machine.is_up() && !machine.hung),
            Who::Gc(_) => true,
        }
    }

    pub(super) fn arrive(&mut self, call: Call) {
        let Call { who, ticket, req } = call;
        if !self.is_there(who) && !self.chance.percent(50) {
            // It was never sent.
            return;
        }
        let crash = match who {
            Who::Coordinator(number, life) if self.is_there(who) => self
                .active
                .crash
                .pop()
                .map(|(after, back)| (number, life, after, back)),
            _ => None,
        };
        if let Some((number, _, false, back)) = crash {
            self.note(|| format!("crash before {}", brief(&req)));
            return self.kill(number, back);
        }
        let lost = self.fails(who, &req);
        let res = if lost == Some(false) {
            Res::Failed
        } else {
            self.take_effect(&req)
        };
        if let Some((number, _, true, back)) = crash {
            self.note(|| format!("crash after {}", brief(&req)));
            return self.kill(number, back);
        }
        if lost.is_none() && matches!(res, Res::Instances(_)) {
            let (last, longest) = self.oracle.looked;
            self.oracle.looked = (self.now, longest.max(self.now - last));
        }
        let (res, wait) = match lost {
            Some(_) => (Res::Failed, self.chance.between(200, 10 * SEC)),
            None => (res, self.chance.between(2, 60)),
        };
        self.note(|| format!("{} {} -> {}", name(who), brief(&req), brief_answer(&res, lost)));
        self.after(wait, Event::Answer(who, ticket, Box::new(res)));
    }

    fn take_effect(&mut self, req: &Req) -> Res {
        match req {
            Req::Get(key) => self.store.read(key),
            Req::List(prefix) => self.store.list(prefix),
            Req::Put(key, bytes, condition) => self.write(key, bytes, *condition),
            Req::Aws(request) => self.aws(request),
            Req::Local(request) => self.local(request),
        }
    }

    fn write(&mut self, key: &str, bytes: &std::rc::Rc<[u8]>, condition: If) -> Res {
        let before = self.store.get(key).cloned();
        let res = self
            .store
            .put(key.to_owned(), std::rc::Rc::clone(bytes), condition);
        if matches!(res, Res::Stored(_)) {
            self.judge_write(key, before.as_deref());
        }
        res
    }

    pub(super) fn answer(&mut self, who: Who, ticket: Ticket, res: Res) {
        if !self.is_there(who) {
            return;
        }
        if let Some(wait) = self.stands_still(who) {
            return self.after(wait, Event::Answer(who, ticket, Box::new(res)));
        }
        match who {
            Who::Coordinator(number, _) => {
                self.with_coordinator(number, |coordinator, now, out| {
                    coordinator.reply(now, ticket, res, out);
                });
            }
            Who::Machine(machine) => {
                self.with_agent(machine, |agent, now, wants| agent.reply(now, ticket, res, wants));
            }
            Who::Gc(number) => self.gc_reply(number, res),
        }
    }

    pub(super) fn wake(&mut self, who: Who, ticket: Ticket) {
        if !self.is_there(who) {
            return;
        }
        if let Some(wait) = self.stands_still(who) {
            return self.after(wait, Event::Wake(who, ticket));
        }
        match who {
            Who::Coordinator(number, _) => {
                self.with_coordinator(number, |coordinator, now, out| {
                    coordinator.woken(now, ticket, out);
                });
            }
            Who::Machine(machine) => {
                self.with_agent(machine, |agent, now, wants| agent.woken(now, ticket, wants));
            }
            Who::Gc(_) => {}
        }
    }

    /// How long this one still stands still.
    fn stands_still(&self, who: Who) -> Option<Ms> {
        let until = match who {
            Who::Coordinator(number, _) => self.coordinators.get(number)?.paused,
            Who::Machine(machine) => self.machines.get(machine)?.frozen,
            Who::Gc(_) => 0,
        };
        until.checked_sub(self.now).filter(|&wait| wait > 0)
    }
}

fn name(who: Who) -> String {
    match who {
        Who::Coordinator(number, life) => format!("coordinator {number}.{life}"),
        Who::Machine(machine) => format!("machine {machine}"),
        Who::Gc(number) => format!("gc {number}"),
    }
}

fn brief(req: &Req) -> String {
    match req {
        Req::Put(key, bytes, condition) => format!("put {key} ({} bytes, {condition:?})", bytes.len()),
        Req::Get(key) => format!("get {key}"),
        Req::List(prefix) => format!("list {prefix}"),
        Req::Aws(request) => format!("{request:?}"),
        Req::Local(request) => format!("{request:?}"),
    }
}

fn brief_answer(res: &Res, lost: Option<bool>) -> String {
    match (lost, res) {
        (Some(true), _) => "done, but the answer is lost".into(),
        (Some(false), _) => "failed".into(),
        (None, Res::Got(object)) => format!("{} bytes", object.as_ref().map_or(0, |(bytes, _)| bytes.len())),
        (None, Res::Instances(all)) => {
            let all: Vec<String> = all
                .iter()
                .map(|one| format!("{} {:?}", one.id.get(14..).unwrap_or_default(), one.state))
                .collect();
            all.join(", ")
        }
        (None, Res::Machines(all)) => format!("{} machines", all.len()),
        (None, other) => format!("{other:?}"),
    }
}
