//! What is known of a run's machines on AWS, and what follows from it: no I/O, no clock.
//!
//! `now` is the wall clock, for what AWS and people are told; `at` is a clock that nobody sets, since this process began to
//! keep the run, for everything that is waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mayfly_aws::fleet::{GroupState, Instance, State, Trouble};
use mayfly_aws::tags::Group;
use mayfly_proto::NodeId;

use super::node::{role, seen};
use super::trouble::{Answer, Lack, answer};
use crate::cloud::Machine;
use crate::plan::starts_max;

/// How long machines live when nobody says that they shall.
const LEASE: Duration = Duration::from_secs(480);
/// The lease is moved on when so much of it is gone.
const LEASE_STEP: Duration = Duration::from_secs(120);
/// A machine that AWS does not list for this long is no more: it lists those that ended for about an hour, and those that
/// have just been started after some seconds at most.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// The machines of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// When AWS puts the groups to zero by itself.
    lease: Timestamp,
    /// Zones of the plan that groups may launch in.
    zones_open: usize,
    /// Zones of the plan.
    zones: usize,
    /// Everything that was ever seen, by AWS's name.
    machines: BTreeMap<String, Machine>,
    /// Machines that are told to end, and are no more of use.
    ending: BTreeSet<String>,
    /// Since when a machine that was seen is not listed.
    absent: BTreeMap<String, Duration>,
    /// Members of groups that no listing of machines has shown yet, and whose they are.
    unlisted: BTreeMap<String, Group>,
    /// Since when no group is there, once released.
    ungrouped: Option<Duration>,
    /// Whether a master of spot has ended, or is ending.
    spot_master_went: bool,
}

impl Ledger {
    /// Nothing is known yet; machines may be started in so many zones.
    pub(super) fn new(zones: usize) -> Self {
        Self {
            lease: Timestamp::UNIX_EPOCH,
            zones_open: 1,
            zones,
            machines: BTreeMap::new(),
            ending: BTreeSet::new(),
            absent: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            ungrouped: None,
            spot_master_went: false,
        }
    }

    /// The lease that groups are made with, or taken over; `until` is when no machine may be there any more.
    pub(super) fn first_lease(until: Timestamp, now: Timestamp) -> Timestamp {
        until.min(now + LEASE)
    }

    /// Groups are there, and AWS puts them to zero at this time.
    pub(super) fn armed(&mut self, lease: Timestamp) {
        self.lease = lease;
        self.ungrouped = None;
    }

    /// Where the lease is to be moved to, if it is to be moved: on in steps, but never past `until`; and up to that in time,
    /// since what is not done by then is still wanted until then. One that is over killed what there was: whatever is
    /// started from now on has none.
    pub(super) fn lease_due(&self, until: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let lease = Self::first_lease(until, now);
        let moved = lease >= self.lease + LEASE_STEP || lease == until && lease != self.lease;
        (lease < self.lease || moved || self.lease <= now).then_some(lease)
    }

    /// Whether a group is made to start machines from nothing: its lease may have run out a moment ago, by a clock that is
    /// ahead of this one, so that it is put anew first.
    pub(super) fn begins(state: &GroupState, target: u32) -> bool {
        state.desired == 0 && target > 0
    }

    /// This machine's clock was set by so much.
    pub(super) fn clock_set(&mut self, by: SignedDuration) {
        self.lease = self.lease.saturating_add(by).unwrap_or(self.lease);
        self.machines
            .values_mut()
            .for_each(|machine| machine.clock_set(by));
    }

    /// AWS has taken that lease.
    pub(super) fn leased(&mut self, lease: Timestamp) {
        self.lease = lease;
    }

    /// How many zones of the plan are open.
    pub(super) fn zones_open(&self) -> usize {
        self.zones_open
    }

    /// What a group says of its machines: those that no listing has shown are looked for.
    pub(super) fn named(&mut self, group: Group, state: &GroupState) {
        let new = state.members.iter().filter(|id| !self.machines.contains_key(*id));
        self.unlisted.extend(new.map(|id| (id.clone(), group)));
    }

    /// How many machines a group shall have now that is wanted to have `wanted`.
    ///
    /// # Errors
    /// Its machines do not stay; how many were started.
    pub(super) fn target(&mut self, group: Group, wanted: u32, state: &GroupState) -> Result<u32, u32> {
        self.named(group, state);
        let members = u32::try_from(state.members.len()).unwrap_or(u32::MAX);
        let started = self.started(group);
        // Of those that are members now, some may be about to end like all before them.
        let ended = started.saturating_sub(self.up(group));
        if wanted > 0 && ended > starts_max(wanted).saturating_sub(wanted) {
            return Err(started);
        }
        // A group that is made smaller than it is chooses for itself which machine to end.
        Ok(wanted.max(if wanted < state.desired { members } else { 0 }))
    }

    /// A member that ends, of a group that is to be smaller than it is: it is taken out before the group replaces it.
    pub(super) fn to_retire<'a>(&self, wanted: u32, state: &'a GroupState) -> Option<&'a str> {
        let ending = |id: &&String| self.ending.contains(*id);
        let found = state.members.iter().find(ending);
        found.filter(|_| wanted < state.desired).map(String::as_str)
    }

    /// Machines of a group that are there and may be of use.
    pub(super) fn up(&self, group: Group) -> u32 {
        let role = role(group);
        let up = self
            .machines
            .values()
            .filter(|machine| machine.role == role && machine.ended.is_none())
            .filter(|machine| !self.ending.contains(&machine.id));
        u32::try_from(up.count()).unwrap_or(u32::MAX)
    }

    fn started(&self, group: Group) -> u32 {
        let role = role(group);
        let started = self.machines.values().filter(|machine| machine.role == role);
        u32::try_from(started.count()).unwrap_or(u32::MAX)
    }

    /// What to do about a group whose machines do not come; another zone is open from then on, if that is the answer.
    pub(super) fn answer(&mut self, group: Group, enough: u32, trouble: &Trouble) -> Answer {
        let lack = Lack {
            up: self.up(group),
            enough,
            zones_open: self.zones_open,
            zones: self.zones,
        };
        let answer = answer(trouble, lack);
        if answer == Answer::OpenZone {
            self.zones_open += 1;
        }
        answer
    }

    /// AWS's name of a machine that is to be ended; `None` where that has been done, or nobody knows it.
    pub(super) fn to_end(&self, node: &NodeId) -> Option<&str> {
        let found = self.machines.values().find(|machine| machine.node == *node)?;
        (!self.ending.contains(&found.id)).then_some(found.id.as_str())
    }

    /// The machine of a node, and whether it may still be of use.
    pub(super) fn machine_of(&self, node: &NodeId) -> Option<(&Machine, bool)> {
        let found = self.machines.values().find(|machine| machine.node == *node)?;
        let useful = found.ended.is_none() && !self.ending.contains(&found.id);
        Some((found, useful))
    }

    /// Machines that are there and may be of use, by AWS's name.
    pub(super) fn useful(&self) -> Vec<String> {
        let up = |machine: &&Machine| machine.ended.is_none() && !self.ending.contains(&machine.id);
        let useful = self.machines.values().filter(up);
        useful.map(|machine| machine.id.clone()).collect()
    }

    /// Machines that a group has named, or that have been seen and have not ended, and are not in this listing: it lags, or
    /// they have lost their tags, or never had any.
    pub(super) fn missing(&self, listed: &[Instance]) -> BTreeMap<String, Group> {
        let here: BTreeSet<&str> = listed.iter().map(|instance| instance.id.as_str()).collect();
        let group = |machine: &Machine| Group::ALL.into_iter().find(|group| role(*group) == machine.role);
        let missing = |machine: &&Machine| machine.ended.is_none() && !here.contains(machine.id.as_str());
        let machines = self.machines.values().filter(missing);
        let named = self.unlisted.iter().filter(|(id, _)| !here.contains(id.as_str()));
        machines
            .filter_map(|machine| Some((machine.id.clone(), group(machine)?)))
            .chain(named.map(|(id, group)| (id.clone(), *group)))
            .collect()
    }

    /// What a listing of all machines shows; `hourly` is what an hour of a machine costs.
    pub(super) fn listed(
        &mut self,
        listed: &[Instance],
        hourly: impl Fn(&Instance) -> Option<u64>,
        now: Timestamp,
        at: Duration,
    ) {
        for instance in listed {
            self.take(instance, hourly(instance), now);
        }
        let here: BTreeSet<&str> = listed.iter().map(|instance| instance.id.as_str()).collect();
        self.unlisted.retain(|id, _| !here.contains(id.as_str()));
        self.absent.retain(|id, _| !here.contains(id.as_str()));
        let alive = self
            .machines
            .values_mut()
            .filter(|machine| machine.ended.is_none());
        for machine in alive.filter(|machine| !here.contains(machine.id.as_str())) {
            let since = *self.absent.entry(machine.id.clone()).or_insert(at);
            if at.saturating_sub(since) >= FORGOTTEN {
                machine.ended = Some(now);
            }
        }
    }

    fn take(&mut self, instance: &Instance, hourly: Option<u64>, now: Timestamp) {
        if instance.state != State::Up {
            self.ending.insert(instance.id.clone());
            self.spot_master_went |= instance.spot && instance.group == Group::Master;
        }
        if let Some(machine) = seen(instance, self.machines.get(&instance.id), hourly, now) {
            self.machines.insert(instance.id.clone(), machine);
        } else {
            tracing::warn!(id = %instance.id, "a machine with the tags of this run has a name that is none: it is ignored");
        }
    }

    /// Everything that was ever seen.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.machines.values().cloned().collect()
    }

    /// Whether a master of spot was there and goes, or is gone.
    pub(super) fn spot_master_went(&self) -> bool {
        self.spot_master_went
    }

    /// Whether a group has a member that may be of use; one that nobody has seen yet may.
    pub(super) fn may_have_one(&self, state: &GroupState) -> bool {
        state.members.iter().any(|id| !self.ending.contains(id))
    }

    /// Machines that are still to be told to end once no group is left: started without one, or left by one.
    pub(super) fn left(&self) -> Vec<String> {
        let mut left = self.useful();
        left.extend(self.unlisted.keys().cloned());
        left
    }

    /// A group is there, or again.
    pub(super) fn grouped(&mut self) {
        self.ungrouped = None;
    }

    /// AWS says that no group is left. True when it had said so before, at least `apart` ago, since a listing may lag
    /// behind; and when every machine that a group ever named was listed, so that its end can be seen.
    pub(super) fn ungrouped(&mut self, at: Duration, apart: Duration) -> bool {
        let since = at.saturating_sub(*self.ungrouped.get_or_insert(at));
        since >= apart && (self.unlisted.is_empty() || since >= FORGOTTEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn instance(id: &str, state: State) -> Instance {
        Instance {
            id: id.into(),
            group: Group::Workers,
            kind: "m7g.large".into(),
            zone: "eu-north-1a".into(),
            spot: false,
            address: None,
            state,
            launched: at(0),
            reason: None,
            told_to_end: None,
        }
    }

    fn group(members: &[&str], desired: u32) -> GroupState {
        GroupState {
            desired,
            max: desired,
            subnets: vec!["subnet-1".into()],
            members: members.iter().map(|&id| id.to_owned()).collect(),
            deadline: None,
            going: false,
        }
    }

    #[test]
    fn only_a_spot_master_that_goes_asks_for_one_on_demand() {
        let seen = |group, spot, state| {
            let mut ledger = Ledger::new(1);
            let one = Instance {
                group,
                spot,
                ..instance("i-1", state)
            };
            ledger.listed(&[one], |_| None, at(1), Duration::ZERO);
            ledger.spot_master_went()
        };
        assert!(seen(Group::Master, true, State::Ending));
        assert!(seen(Group::Master, true, State::Ended));
        assert!(!seen(Group::Master, true, State::Up));
        assert!(!seen(Group::Master, false, State::Ended));
        assert!(!seen(Group::Workers, true, State::Ended));
    }

    /// Of what is there nothing is changed that AWS would replace it for.
    #[test]
    fn a_group_may_have_a_machine_as_long_as_one_of_its_members_is_not_known_to_end() {
        let mut ledger = Ledger::new(1);
        let may = |ledger: &Ledger, members: &[&str]| ledger.may_have_one(&group(members, 1));
        let seen = [instance("i-1", State::Ended), instance("i-2", State::Ending)];
        ledger.listed(&seen, |_| None, at(1), Duration::ZERO);
        assert!(!may(&ledger, &[]));
        assert!(!may(&ledger, &["i-1", "i-2"]));
        assert!(may(&ledger, &["i-1", "i-3"]), "nobody has seen it yet");
        ledger.listed(&[instance("i-3", State::Up)], |_| None, at(2), Duration::ZERO);
        assert!(may(&ledger, &["i-3"]));
    }

    #[test]
    fn a_lease_is_moved_in_steps_and_never_past_the_end() {
        let mut ledger = Ledger::new(1);
        ledger.armed(at(480));
        let end = at(1_000);
        assert_eq!(ledger.lease_due(end, at(119)), None);
        assert_eq!(ledger.lease_due(end, at(120)), Some(at(600)));
        ledger.leased(at(900));
        assert_eq!(ledger.lease_due(end, at(519)), None);
        assert_eq!(
            ledger.lease_due(end, at(520)),
            Some(end),
            "though it is no whole step"
        );
        ledger.leased(end);
        assert_eq!(ledger.lease_due(end, at(990)), None);
        assert_eq!(
            ledger.lease_due(end, at(1_000)),
            Some(end),
            "it is over, and something may have been started"
        );
        assert_eq!(
            ledger.lease_due(at(700), at(990)),
            Some(at(700)),
            "the end was moved nearer"
        );
    }

    /// faults.md 53.
    #[test]
    fn a_clock_that_is_set_moves_no_lease_and_costs_nothing() {
        let ids = ["i-0123456789abcdef0", "i-0123456789abcdef1"];
        let mut ledger = Ledger::new(1);
        ledger.armed(at(10_480));
        let launched = |id, state, launched| Instance {
            launched: at(launched),
            ..instance(id, state)
        };
        // A listing tells by the clock as it is now.
        let costs = |ledger: &mut Ledger, zero: i64| -> Vec<u64> {
            let listed = [
                launched(ids[0], State::Ended, zero),
                launched(ids[1], State::Up, zero),
            ];
            ledger.listed(&listed, |_| Some(3_600_000), at(zero + 120), Duration::ZERO);
            let machines = ledger.machines();
            let costs = machines.iter().map(|machine| machine.cost_micros(at(zero + 120)));
            costs.collect()
        };
        let mut zero = 10_000;
        assert_eq!(costs(&mut ledger, zero), [120_000; 2]);
        for by in [3_600, -7_200] {
            zero += by;
            ledger.clock_set(SignedDuration::from_secs(by));
            assert_eq!(costs(&mut ledger, zero), [120_000; 2], "set by {by} s");
            let due = ledger.lease_due(at(zero + 9_000), at(zero + 119));
            assert_eq!(due, None, "set by {by} s");
        }
    }

    #[test]
    fn what_is_not_listed_is_not_gone_until_long_after() {
        let id = "i-0123456789abcdef0";
        let mut ledger = Ledger::new(1);
        let ended = |ledger: &Ledger| ledger.machines().iter().filter(|m| m.ended.is_some()).count();
        ledger.listed(&[instance(id, State::Up)], |_| None, at(0), Duration::ZERO);
        ledger.listed(&[], |_| None, at(10), Duration::from_secs(10));
        ledger.listed(&[], |_| None, at(909), Duration::from_secs(909));
        assert_eq!((ended(&ledger), ledger.left()), (0, vec![id.to_owned()]));
        ledger.listed(&[], |_| None, at(910), Duration::from_secs(910));
        assert_eq!((ended(&ledger), ledger.left()), (1, vec![]));
    }

    #[test]
    fn a_member_that_no_listing_has_shown_is_ended_too() {
        let (shown, hidden) = ("i-0123456789abcdef0", "i-0123456789abcdef1");
        let mut ledger = Ledger::new(1);
        assert_eq!(
            ledger.target(Group::Workers, 2, &group(&[shown, hidden], 2)),
            Ok(2)
        );
        ledger.listed(&[instance(shown, State::Ending)], |_| None, at(0), Duration::ZERO);
        assert_eq!(ledger.left(), [hidden]);
    }

    #[test]
    fn a_member_that_no_listing_has_shown_is_asked_for_by_its_name() {
        let (shown, hidden) = ("i-0123456789abcdef0", "i-0123456789abcdef1");
        let mut ledger = Ledger::new(1);
        ledger.named(Group::Workers, &group(&[shown, hidden], 2));
        let listed = [instance(shown, State::Up)];
        let asked = BTreeMap::from([(hidden.to_owned(), Group::Workers)]);
        assert_eq!(ledger.missing(&listed), asked);
    }

    #[test]
    fn a_group_shrinks_only_by_machines_that_are_gone() {
        let mut ledger = Ledger::new(1);
        let ids = ["i-0123456789abcdef0", "i-0123456789abcdef1"];
        assert_eq!(ledger.target(Group::Workers, 1, &group(&ids, 3)), Ok(2));
        assert_eq!(ledger.target(Group::Workers, 0, &group(&[], 3)), Ok(0));
    }

    #[test]
    fn machines_that_do_not_stay_are_given_up() {
        let mut ledger = Ledger::new(1);
        let ended: Vec<Instance> = (0..5)
            .map(|n| instance(&format!("i-0123456789abcdef{n}"), State::Ended))
            .collect();
        ledger.listed(&ended, |_| None, at(0), Duration::ZERO);
        assert_eq!(ledger.target(Group::Workers, 1, &group(&[], 1)), Err(5));
        assert_eq!(
            ledger.target(Group::Workers, 1, &group(&["i-0123456789abcdef9"], 1)),
            Err(5),
            "the next one may well end like all before it"
        );
    }

    #[test]
    fn a_machine_that_was_never_listed_is_waited_for() {
        let id = "i-0123456789abcdef0";
        let mut ledger = Ledger::new(1);
        let apart = Duration::from_secs(4);
        assert_eq!(ledger.target(Group::Workers, 1, &group(&[id], 1)), Ok(1));
        ledger.ungrouped(Duration::ZERO, apart);
        assert!(
            !ledger.ungrouped(Duration::from_secs(60), apart),
            "it may well be up"
        );
        ledger.listed(
            &[instance(id, State::Ended)],
            |_| None,
            at(60),
            Duration::from_secs(60),
        );
        assert!(ledger.ungrouped(Duration::from_secs(61), apart));
    }

    #[test]
    fn that_no_group_is_left_is_believed_when_it_was_said_twice() {
        let mut ledger = Ledger::new(1);
        let (apart, at) = (Duration::from_secs(4), Duration::from_secs);
        assert!(!ledger.ungrouped(at(1), apart) && !ledger.ungrouped(at(4), apart));
        assert!(ledger.ungrouped(at(5), apart));
        ledger.grouped();
        assert!(!ledger.ungrouped(at(9), apart));
    }
}
