//! One run's machines, as this process knows them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mayfly_aws::catalog::Prices;
use mayfly_aws::fleet::{Blueprint, Fleet, GroupState, Instance, UserData};
use mayfly_aws::tags::Group;
use mayfly_kit::clock::{self, Watch};
use mayfly_kit::crash::{self, Point};
use mayfly_proto::NodeId;
use tokio::time::Instant;

use super::blueprint::{blueprint, user_data};
use super::ledger::Ledger;
use super::site::{AwsSite, Plan};
use super::trouble::Answer;
use super::{CloudError, cloud_error, timing};
use crate::cloud::{Admission, Meeting, Order, Sight};
use crate::run::Wanted;

/// New machines are told a new join token so often: each lasts ten minutes, and a machine boots for one or two.
const TELL_EVERY: Duration = Duration::from_secs(240);
/// Why machines do not come is asked so often.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// What the agent on the last machine gets for its own last lines: it uploads every five seconds what it has.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// A machine asks to be taken in while it boots, and no later than this after it was launched.
const NEW: Duration = Duration::from_secs(900);
/// What AWS's clock is thought to be differs by so much from one look to the next.
const DEADLINE_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// The machines of one run.
pub(super) struct Kept {
    site: Arc<AwsSite>,
    order: Order,
    fleet: Fleet,
    blueprint: Blueprint,
    /// What jobs get sessions of.
    job_role: Option<String>,
    prices: Prices,
    /// What is known, and what follows from it.
    ledger: Ledger,
    /// Time zero of the ledger.
    began: Instant,
    /// By this machine's clock times are told that AWS and people get.
    clock: Watch,
    told: Option<Instant>,
    asked: Option<Instant>,
    /// When the machines were looked at last.
    looked: Option<Instant>,
    trouble: Option<String>,
}

impl Kept {
    pub(super) fn new(site: &Arc<AwsSite>, order: Order, plan: Plan) -> Self {
        Self {
            fleet: Fleet::new(site.account.clone(), order.run.clone()),
            blueprint: blueprint(site, &order, &plan),
            job_role: plan.network.job_role,
            site: Arc::clone(site),
            order,
            prices: plan.prices,
            ledger: Ledger::new(plan.subnets.len()),
            began: Instant::now(),
            clock: Watch::default(),
            told: None,
            asked: None,
            looked: None,
            trouble: None,
        }
    }

    /// Groups at zero, their killer armed. Also for the next attempt, and after another coordinator's death.
    pub(super) async fn arm(&mut self) -> Result<(), CloudError> {
        let now = Timestamp::now();
        let end = self.order.deadline + timing().overtime;
        let lease = Ledger::first_lease(end, now);
        if !self.makes() {
            return self.arm_again(lease).await;
        }
        let tell = |group| self.user_data(group);
        let armed = self.fleet.arm(&self.blueprint, tell, lease).await;
        armed.map_err(cloud_error)?;
        self.ledger.armed(lease);
        self.told = Some(Instant::now());
        Ok(())
    }

    /// Whether this coordinator makes groups and templates, or only uses those that somebody else has made.
    fn makes(&self) -> bool {
        match self.order.meeting {
            Meeting::At(_) | Meeting::InRecord | Meeting::OnMaster { .. } => true,
            Meeting::Arranged => false,
        }
    }

    /// Whether it may change what groups start, and tags: whoever lives on a machine of the run may only what a node may.
    fn changes(&self) -> bool {
        self.site.own.is_none()
    }

    /// Moves the killer of groups that are there. None is there once the run is being released.
    async fn arm_again(&mut self, lease: Timestamp) -> Result<(), CloudError> {
        for (group, _) in self.fleet.states().await.map_err(cloud_error)? {
            let put = self.fleet.put_group_lease(group, lease).await;
            put.map_err(cloud_error)?;
        }
        self.ledger.armed(lease);
        Ok(())
    }

    pub(super) async fn keep(&mut self, wanted: Wanted, until: Timestamp) -> Result<(), CloudError> {
        self.mind_clock();
        self.moved(until);
        self.renew(until).await?;
        let states = self.fleet.states().await.map_err(cloud_error)?;
        self.tag_what_is_there(&states).await?;
        if wanted.masters > 0 {
            self.pay_for_the_next_master(&states).await?;
        }
        for group in Group::ALL {
            let wanted = of(wanted, group);
            match states.iter().find(|(found, _)| *found == group) {
                Some((_, state)) => self.keep_group(group, wanted, state, until).await?,
                // Somebody took it away, or AWS does not list it yet: to make it again does no harm.
                None if self.makes() => self.arm().await?,
                None => {
                    tracing::warn!(run = %self.order.run, group = group.name(), "AWS lists no such group");
                }
            }
        }
        Ok(())
    }

    /// A master of spot that was lost is followed by one on demand, which AWS does not take back. Not while another one is
    /// there: AWS replaces machines that work when what a group buys is changed.
    async fn pay_for_the_next_master(&mut self, states: &[(Group, GroupState)]) -> Result<(), CloudError> {
        let is_it = |(group, state): &&(Group, GroupState)| *group == Group::Master && !state.going;
        let Some((_, state)) = states.iter().find(is_it) else {
            return Ok(());
        };
        if !self.changes() || !self.blueprint.master.spot {
            return Ok(());
        }
        // Whoever takes a run over has not seen yet whom it has lost.
        if self.looked.is_none() {
            self.observe().await?;
        }
        if !self.ledger.spot_master_went() || self.ledger.may_have_one(state) {
            return Ok(());
        }
        self.blueprint.master.spot = false;
        let changed = self.fleet.make_from_now_on(Group::Master, &self.blueprint.master);
        match changed.await {
            Ok(()) => {
                tracing::info!(run = %self.order.run, "a spot master was lost: the next one is on demand");
            }
            Err(error) if error.kind().may_pass() => {
                self.blueprint.master.spot = true;
                return Err(cloud_error(error));
            }
            // A master of spot is better than none.
            Err(error) => tracing::warn!(run = %self.order.run, %error, "the next master is of spot, too"),
        }
        Ok(())
    }

    /// What is known is told by this machine's clock, which somebody may have set.
    fn mind_clock(&mut self) {
        if let Some(by) = self.clock.set_by() {
            self.ledger.clock_set(by);
        }
    }

    /// The end of the run may be another than it was: machines that start from now on are told of it.
    fn moved(&mut self, until: Timestamp) {
        let deadline = until - timing().overtime;
        if self.order.deadline != deadline {
            self.order.deadline = deadline;
            self.blueprint.labels.deadline = self.site.account.clock().theirs(deadline);
            self.told = None;
        }
    }

    /// What is there already has a tag with the end of the run, by which others judge whether it is left over.
    async fn tag_what_is_there(&self, states: &[(Group, GroupState)]) -> Result<(), CloudError> {
        let deadline = self.site.account.clock().theirs(self.order.deadline);
        let is_it = |tag: Timestamp| tag.duration_since(deadline).abs() <= DEADLINE_SLACK;
        // A node may not write tags: there the lease alone says that the run goes on.
        if !self.changes() || states.iter().all(|(_, state)| state.deadline.is_some_and(is_it)) {
            return Ok(());
        }
        let machines = self.ledger.useful();
        let moved = self.fleet.move_deadline(deadline, states, &machines).await;
        moved.map_err(cloud_error)
    }

    async fn put_lease(&mut self, lease: Timestamp) -> Result<(), CloudError> {
        crash::around(Point::LeasePut, self.fleet.put_lease(lease))
            .await
            .map_err(cloud_error)?;
        self.ledger.leased(lease);
        Ok(())
    }

    /// Moves the killer on, and tells new machines a token that is still good when they have booted.
    async fn renew(&mut self, until: Timestamp) -> Result<(), CloudError> {
        let now = Timestamp::now();
        if let Some(lease) = self.ledger.lease_due(until, now) {
            self.put_lease(lease).await?;
        }
        let tells = matches!(self.order.meeting, Meeting::At(_) | Meeting::InRecord);
        if tells && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let tell = |group| self.user_data(group);
            let told = self.fleet.tell_new_ones(&self.blueprint, tell).await;
            told.map_err(cloud_error)?;
            self.told = Some(Instant::now());
        }
        Ok(())
    }

    fn user_data(&self, group: Group) -> UserData {
        user_data(
            &self.site,
            &self.order,
            self.job_role.as_deref(),
            group,
            clock::steady(),
        )
    }

    async fn keep_group(
        &mut self,
        group: Group,
        wanted: u32,
        state: &GroupState,
        until: Timestamp,
    ) -> Result<(), CloudError> {
        let target = self.ledger.target(group, wanted, state).map_err(|started| {
            CloudError::Permanent(format!(
                "machines of the group {} keep ending as soon as they are started: {started} were started for {wanted}",
                group.name(),
            ))
        })?;
        if let Some(ended) = self.ledger.to_retire(wanted, state) {
            // The next round goes on from there.
            return self.fleet.retire(ended).await.map_err(cloud_error);
        }
        if Ledger::begins(state, target) {
            self.put_lease(Ledger::first_lease(until, Timestamp::now()))
                .await?;
        }
        let subnets: Vec<String> = self
            .blueprint
            .subnets
            .iter()
            .take(self.ledger.zones_open())
            .cloned()
            .collect();
        let zones: BTreeSet<&String> = state.subnets.iter().collect();
        let same_zones = zones == subnets.iter().collect();
        if state.desired != target || state.max != target || !same_zones {
            let scaled = self.fleet.scale(group, target, &subnets);
            let scaled = crash::around(Point::GroupScale, scaled).await;
            scaled.map_err(cloud_error)?;
            self.asked = Some(Instant::now());
        }
        if self.ledger.up(group) < wanted {
            self.ask_why(group, wanted).await?;
        } else if wanted > 0 && group == Group::Workers {
            self.trouble = None;
        }
        Ok(())
    }

    /// Asks AWS why a group lacks machines, and does something about it.
    async fn ask_why(&mut self, group: Group, wanted: u32) -> Result<(), CloudError> {
        let every = ASK_EVERY.min(self.site.look_every * 2);
        if self.asked.is_some_and(|asked| asked.elapsed() < every) {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        let Some(trouble) = self.fleet.trouble(group).await.map_err(cloud_error)? else {
            return Ok(());
        };
        let enough = match group {
            Group::Master => wanted,
            Group::Workers => self.order.job.workers.min.min(wanted),
        };
        let said = format!("AWS starts no {} machine: {}", group.role(), trouble.said);
        match self.ledger.answer(group, enough, &trouble) {
            Answer::GiveUp => return Err(CloudError::Permanent(said)),
            Answer::OpenZone => self.trouble = Some(format!("{said} The next zone is tried.")),
            Answer::Wait => self.trouble = Some(said),
        }
        Ok(())
    }

    pub(super) async fn end(&mut self, node: &NodeId) -> Result<(), CloudError> {
        match self.ledger.to_end(node) {
            Some(id) => self.fleet.end(id).await.map_err(cloud_error),
            None => Ok(()),
        }
    }

    /// Whether the machine of a node is one of these. Whoever asks in vain makes no more requests than the keeper does.
    pub(super) async fn admit(&mut self, node: &NodeId) -> Result<Admission, CloudError> {
        let stale = self
            .looked
            .is_none_or(|looked| looked.elapsed() >= self.site.look_every);
        if self.ledger.machine_of(node).is_none() && stale {
            self.observe().await?;
        }
        Ok(match self.ledger.machine_of(node) {
            Some((_, false)) => Admission::Refused("it has ended, or is ending".to_owned()),
            Some((machine, true)) => of_age(machine.started, Timestamp::now()),
            None => Admission::NotSeen,
        })
    }

    pub(super) async fn observe(&mut self) -> Result<Sight, CloudError> {
        self.mind_clock();
        let mut listed = self.fleet.machines().await.map_err(cloud_error)?;
        self.looked = Some(Instant::now());
        let missing = self.ledger.missing(&listed);
        if !missing.is_empty() {
            listed.extend(self.fleet.named(&missing).await.map_err(cloud_error)?);
        }
        let hourly = |instance: &Instance| hourly(&self.prices, instance);
        self.ledger
            .listed(&listed, hourly, Timestamp::now(), self.began.elapsed());
        Ok(Sight {
            machines: self.ledger.machines(),
            trouble: self.trouble.clone(),
            own: self.site.own.as_ref().map(|own| own.instance.clone()),
        })
    }

    /// Done when AWS says twice, some time apart, that no group is left: a listing may lag behind. The master's group stays
    /// while this coordinator lives in it.
    pub(super) async fn release(&mut self) -> Result<(), CloudError> {
        let all: &[Group] = match self.site.own {
            None => &Group::ALL,
            Some(_) => &[Group::Workers],
        };
        let groups = self.fleet.release(all).await.map_err(cloud_error)?;
        if !groups.is_empty() {
            for (group, state) in &groups {
                self.ledger.named(*group, state);
            }
            self.ledger.grouped();
            return Err(not_yet("the groups are being deleted"));
        }
        let left = self.ledger.left();
        // A node may not end machines of no group: they end with the run, or `gc` finds them.
        if !left.is_empty() && self.site.own.is_none() {
            self.fleet.terminate(left).await.map_err(cloud_error)?;
        }
        if !self
            .ledger
            .ungrouped(self.began.elapsed(), self.site.look_every * 2)
        {
            return Err(not_yet("the groups are gone; looking once more"));
        }
        Ok(())
    }
}

impl Kept {
    /// The master's group and template, with the machine that this runs on. Whoever else lives on it is waited for.
    pub(super) async fn leave(&mut self) -> Result<(), CloudError> {
        if let Some(own) = &self.site.own {
            let mut done = own.done.clone();
            // An agent that is gone says nothing more either.
            let _late = tokio::time::timeout(LAST_WORDS, done.wait_for(|&done| done)).await;
        }
        self.fleet.release(&[Group::Master]).await.map_err(cloud_error)?;
        Ok(())
    }
}

/// A machine that was launched long ago has been taken in before, or never will be.
fn of_age(launched: Timestamp, now: Timestamp) -> Admission {
    let age = now.duration_since(launched);
    if age <= SignedDuration::try_from(NEW).unwrap_or(SignedDuration::MAX) {
        return Admission::Member;
    }
    Admission::Refused(format!("it was launched {} s ago", age.as_secs()))
}

/// Spot never costs more than on demand.
fn hourly(prices: &Prices, instance: &Instance) -> Option<u64> {
    let price = |spot| prices.of(&instance.kind, &instance.zone, spot);
    price(instance.spot).or_else(|| price(false))
}

fn of(wanted: Wanted, group: Group) -> u32 {
    match group {
        Group::Master => wanted.masters,
        Group::Workers => wanted.workers,
    }
}

fn not_yet(what: &str) -> CloudError {
    CloudError::Pending(what.to_owned())
}
