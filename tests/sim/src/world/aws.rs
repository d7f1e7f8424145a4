//! A model of EC2 and Auto Scaling: groups that keep so many machines, with what AWS is known for.

use std::collections::BTreeMap;

use super::{Event, World};
use crate::call::{Aws, Left, Res};
use crate::machine::{Cause, Machine};
use crate::product::aws::Kind;
use crate::product::aws::fleet::{GroupState, Instance, State, Trouble};
use crate::product::aws::tags::Group;
use crate::product::coordinator::cloud::aws::node;
use crate::product::coordinator::record::RunRecord;
use crate::product::kit::layout;
use crate::time::{MIN, Ms, SEC, moment, wall};

/// A group looks after its machines so often.
const RECONCILE: Ms = 5 * SEC;
/// Machines that have ended are listed for about an hour.
const LISTED: Ms = 60 * MIN;

/// Everything of AWS but the machines.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    pub(super) groups: BTreeMap<String, Asg>,
    started: usize,
    /// The tag that says when the run ends.
    pub(super) deadline: Ms,
}

/// An Auto Scaling group.
#[derive(Debug)]
pub(super) struct Asg {
    pub(super) group: Group,
    pub(super) desired: u32,
    max: u32,
    zones: usize,
    pub(super) lease: Option<Ms>,
    deleting: bool,
    failed: Option<Trouble>,
    pub(super) members: Vec<usize>,
}

impl World {
    /// Answers a request to AWS.
    pub(crate) fn aws(&mut self, request: &Aws) -> Res {
        match request {
            Aws::Ensure(name, group) => self.ensure(name, *group),
            Aws::PutLease(name, at) => self.put_lease(name, moment(*at)),
            Aws::States(names) => Res::States(names.iter().filter_map(|name| self.state_of(name)).collect()),
            Aws::Scale(name, wanted, zones) => self.scale(name, *wanted, *zones),
            Aws::Trouble(name) => {
                Res::Trouble(self.cloud.groups.get(name).and_then(|group| group.failed.clone()))
            }
            Aws::End(id) => {
                self.end_all(std::slice::from_ref(id));
                Res::Done
            }
            Aws::Machines => Res::Instances(self.listing()),
            Aws::Delete(name) => self.delete(name),
            Aws::Terminate(ids) => {
                self.end_all(ids);
                Res::Done
            }
            Aws::Everything => Res::Left(self.everything()),
        }
    }

    fn ensure(&mut self, name: &str, group: Group) -> Res {
        if self.cloud.groups.get(name).is_some_and(|group| group.deleting) {
            return Res::Failed;
        }
        if !self.cloud.groups.contains_key(name) {
            let record = self.store.get(&layout::record(&self.run));
            let record: Option<RunRecord> = record.and_then(|bytes| serde_json::from_slice(bytes).ok());
            self.cloud.deadline = record.map_or(0, |record| moment(record.deadline));
            let made = Asg {
                group,
                desired: 0,
                max: 0,
                zones: 1,
                lease: None,
                deleting: false,
                failed: None,
                members: Vec::new(),
            };
            self.cloud.groups.insert(name.to_owned(), made);
            self.after(RECONCILE, Event::Group(name.to_owned(), true));
        }
        Res::Done
    }

    fn put_lease(&mut self, name: &str, at: Ms) -> Res {
        let now = self.now;
        let Some(group) = self.cloud.groups.get_mut(name).filter(|_| at > now) else {
            return Res::Failed;
        };
        group.lease = Some(at);
        let late = self.active.late_lease;
        self.judge_lease(at);
        self.after(at - now + late, Event::Lease(name.to_owned(), at));
        Res::Done
    }

    pub(super) fn lease(&mut self, name: &str, at: Ms) {
        let due = self
            .cloud
            .groups
            .get_mut(name)
            .filter(|group| group.lease == Some(at));
        if let Some(group) = due {
            group.lease = None;
            group.desired = 0;
            group.max = 0;
            let members = group.members.clone();
            self.note(|| format!("the lease of {name} is over"));
            for member in members {
                self.end_machine(member, Cause::Lease);
            }
        }
    }

    fn state_of(&mut self, name: &str) -> Option<(Group, GroupState)> {
        let group = self.cloud.groups.get(name)?;
        for &member in &group.members {
            if let Some(machine) = self.machines.get_mut(member) {
                machine.shown = true;
            }
        }
        let members = group
            .members
            .iter()
            .filter_map(|&number| self.machines.get(number));
        let state = GroupState {
            desired: group.desired,
            max: group.max,
            subnets: (0..group.zones).map(|zone| format!("subnet-{zone}")).collect(),
            members: members.map(|machine| machine.id.clone()).collect(),
            deadline: None,
            going: false,
        };
        Some((group.group, state))
    }

    fn scale(&mut self, name: &str, wanted: u32, zones: usize) -> Res {
        let Some(group) = self.cloud.groups.get_mut(name).filter(|group| !group.deleting) else {
            return Res::Failed;
        };
        group.desired = wanted;
        group.max = wanted;
        group.zones = zones;
        self.after(SEC, Event::Group(name.to_owned(), false));
        Res::Done
    }

    fn delete(&mut self, name: &str) -> Res {
        let Some(group) = self.cloud.groups.get_mut(name) else {
            return Res::Done;
        };
        group.desired = 0;
        group.max = 0;
        group.deleting = true;
        for member in group.members.clone() {
            self.end_machine(member, Cause::Group);
        }
        Res::Done
    }

    fn end_all(&mut self, ids: &[String]) {
        let deaf = self.active.deaf.by(self.now) > 0;
        for id in ids.iter().filter(|_| !deaf) {
            let found = self.machines.iter().position(|machine| machine.id == *id);
            if let Some(number) = found {
                self.end_machine(number, Cause::Ended);
            }
        }
    }

    /// As it may well be told: late, and not of all.
    fn listing(&mut self) -> Vec<Instance> {
        let (lag, flap) = (self.active.lag.by(self.now), self.active.flap.percent(self.now));
        let then = self.now.saturating_sub(lag);
        let mut listed = Vec::new();
        for machine in &self.machines {
            let forgotten = machine.ended.is_some_and(|ended| ended + LISTED < self.now);
            if forgotten || machine.listed > then || self.chance.percent(flap) {
                continue;
            }
            listed.extend(instance(machine, then));
        }
        for machine in &mut self.machines {
            machine.shown |= listed.iter().any(|one| one.id == machine.id);
        }
        listed
    }

    fn everything(&self) -> Left {
        let machines = self
            .machines
            .iter()
            .filter(|machine| machine.state != State::Ended);
        let groups: Vec<String> = self.cloud.groups.keys().cloned().collect();
        let lease = self.cloud.groups.values().filter_map(|group| group.lease).max();
        let things = machines.clone().count() + groups.len();
        Left {
            things,
            deadline: (things > 0).then(|| wall(self.cloud.deadline)),
            lease: lease.map(wall),
            groups,
            machines: machines
                .filter(|machine| machine.is_up())
                .map(|machine| machine.id.clone())
                .collect(),
        }
    }

    /// A group does what it is there for.
    pub(super) fn reconcile(&mut self, name: &str, regular: bool) {
        let Some(group) = self.cloud.groups.get_mut(name) else {
            return;
        };
        let machines = &self.machines;
        group
            .members
            .retain(|&number| machines.get(number).is_some_and(Machine::is_up));
        let (members, desired) = (group.members.clone(), group.desired as usize);
        if group.deleting && members.is_empty() {
            self.note(|| format!("{name} is gone"));
            self.cloud.groups.remove(name);
            return;
        }
        if members.len() > desired {
            let extra = self.chance.below(members.len());
            if let Some(&member) = members.get(extra) {
                self.end_machine(member, Cause::Group);
            }
        }
        for _ in members.len()..desired {
            self.start_instance(name);
        }
        if regular {
            self.after(RECONCILE, Event::Group(name.to_owned(), true));
        }
    }

    fn start_instance(&mut self, name: &str) {
        let now = self.now;
        let Some(group) = self.cloud.groups.get(name) else {
            return;
        };
        let quota = self.active.quota.by(now) > 0;
        let free = (0..group.zones).find(|&zone| {
            let (until, left) = self.active.capacity.get(zone).copied().unwrap_or_default();
            now >= until || left > 0
        });
        let trouble = if quota {
            Some(Kind::Quota)
        } else {
            free.is_none().then_some(Kind::Capacity)
        };
        if let Some(kind) = trouble {
            let failed = Some(Trouble {
                kind,
                said: "Launching EC2 instance failed.".into(),
                at: wall(now),
            });
            if let Some(group) = self.cloud.groups.get_mut(name) {
                group.failed = failed;
            }
            return;
        }
        let zone = free.unwrap_or(0);
        if let Some((until, left)) = self.active.capacity.get_mut(zone)
            && now < *until
        {
            *left = left.saturating_sub(1);
        }
        self.cloud.started += 1;
        let id = format!("i-{:017x}", self.cloud.started);
        let listed = now + self.chance.between(0, 4 * SEC);
        let (Some(group), Some(node)) = (self.cloud.groups.get_mut(name), node::id(group_of(name), &id))
        else {
            return;
        };
        let role = node::role(group.group);
        let machine = Machine {
            group: name.to_owned(),
            zone,
            listed,
            ..Machine::new(id, node, role, now)
        };
        group.failed = None;
        let number = self.machines.len();
        group.members.push(number);
        self.new_machine(machine);
    }
}

fn group_of(name: &str) -> Group {
    if name.contains("-master") {
        Group::Master
    } else {
        Group::Workers
    }
}

/// A machine as it was then.
fn instance(machine: &Machine, then: Ms) -> Option<Instance> {
    let state = if machine.ended.is_some_and(|ended| ended <= then) {
        State::Ended
    } else if machine.ending.is_some_and(|ending| ending <= then) {
        State::Ending
    } else {
        State::Up
    };
    // AWS says when somebody has asked for it.
    let told = matches!(machine.cause, Some(Cause::Group | Cause::Lease | Cause::Ended));
    (machine.launched <= then).then(|| Instance {
        id: machine.id.clone(),
        group: group_of(&machine.group),
        kind: "m7g.large".into(),
        zone: format!("zone-{}", machine.zone),
        spot: false,
        address: None,
        state,
        launched: wall(machine.launched),
        told_to_end: machine.ending.filter(|_| told && state != State::Up).map(wall),
        reason: None,
    })
}
