//! One run's machines, as this process knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_aws::catalog::Prices;
use mayfly_aws::fleet::{Blueprint, Fleet, GroupState, Instance, State};
use mayfly_aws::tags::Group;
use mayfly_proto::NodeId;
use tokio::time::Instant;

use super::blueprint::{blueprint, role, user_data};
use super::site::{AwsSite, Plan};
use super::trouble::{Answer, Lack, answer};
use super::{CloudError, cloud_error, node};
use crate::cloud::{Machine, Order, Sight};
use crate::plan::starts_max;
use crate::run::Wanted;

/// How long machines live when nobody says that they shall.
const LEASE: Duration = Duration::from_secs(480);
/// The lease is moved on when so much of it is gone.
const LEASE_STEP: Duration = Duration::from_secs(120);
/// New machines are told a new join token so often: each lasts ten minutes, and a machine boots for one or two.
const TELL_EVERY: Duration = Duration::from_secs(240);
/// Why machines do not come is asked so often.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// A machine that AWS does not list for this long is no more: it lists those that ended for about an hour, and those that
/// have just been started after some seconds at most.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// The machines of one run.
pub(super) struct Kept {
    site: Arc<AwsSite>,
    order: Order,
    fleet: Fleet,
    blueprint: Blueprint,
    /// Zones of the plan that groups may launch in.
    zones_open: usize,
    prices: Prices,
    /// When AWS puts the groups to zero by itself.
    lease: Timestamp,
    told: Option<Instant>,
    asked: Option<Instant>,
    /// Everything that was ever seen, by AWS's name.
    machines: BTreeMap<String, Machine>,
    /// Machines that are told to end, and are no more of use.
    ending: BTreeSet<String>,
    /// Since when a machine that was seen is not listed.
    absent: BTreeMap<String, Instant>,
    /// Members of groups that no listing of machines has shown yet.
    unlisted: BTreeSet<String>,
    trouble: Option<String>,
    /// Since when no group is there, once released.
    ungrouped: Option<Instant>,
}

impl Kept {
    pub(super) fn new(site: &Arc<AwsSite>, order: Order, plan: Plan) -> Self {
        Self {
            fleet: Fleet::new(site.account.clone(), order.run.clone()),
            blueprint: blueprint(site, &order, &plan),
            site: Arc::clone(site),
            order,
            zones_open: 1,
            prices: plan.prices,
            lease: Timestamp::UNIX_EPOCH,
            told: None,
            asked: None,
            machines: BTreeMap::new(),
            ending: BTreeSet::new(),
            absent: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            trouble: None,
            ungrouped: None,
        }
    }

    /// Groups at zero, their killer armed. Also for the next attempt, and after another coordinator's death.
    pub(super) async fn arm(&mut self) -> Result<(), CloudError> {
        let now = Timestamp::now();
        let lease = now + LEASE;
        let tell = |group| user_data(&self.site, &self.order, group, now);
        let armed = self.fleet.arm(&self.blueprint, tell, lease).await;
        armed.map_err(cloud_error)?;
        self.lease = lease;
        self.told = Some(Instant::now());
        self.ungrouped = None;
        Ok(())
    }

    pub(super) async fn keep(&mut self, wanted: Wanted, until: Timestamp) -> Result<(), CloudError> {
        self.renew(until).await?;
        let states = self.fleet.states().await.map_err(cloud_error)?;
        for group in Group::ALL {
            let wanted = of(wanted, group);
            match states.iter().find(|(found, _)| *found == group) {
                Some((_, state)) => self.keep_group(group, wanted, state).await?,
                // Somebody took it away, or AWS does not list it yet: to make it again does no harm.
                None => self.arm().await?,
            }
        }
        Ok(())
    }

    /// Moves the killer on, and tells new machines a token that is still good when they have booted.
    async fn renew(&mut self, until: Timestamp) -> Result<(), CloudError> {
        let now = Timestamp::now();
        let lease = until.min(now + LEASE);
        if lease < self.lease || lease >= self.lease + LEASE_STEP {
            self.fleet.put_lease(lease).await.map_err(cloud_error)?;
            self.lease = lease;
        }
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let tell = |group| user_data(&self.site, &self.order, group, now);
            let told = self.fleet.tell_new_ones(&self.blueprint, tell).await;
            told.map_err(cloud_error)?;
            self.told = Some(Instant::now());
        }
        Ok(())
    }

    fn up(&self, group: Group) -> u32 {
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

    async fn keep_group(&mut self, group: Group, wanted: u32, state: &GroupState) -> Result<(), CloudError> {
        for member in &state.members {
            if !self.machines.contains_key(member) {
                self.unlisted.insert(member.clone());
            }
        }
        let members = u32::try_from(state.members.len()).unwrap_or(u32::MAX);
        if members < wanted && self.started(group) >= starts_max(wanted) {
            return Err(CloudError::Permanent(format!(
                "machines of the group {} keep ending as soon as they are started: {} were started for {wanted}",
                group.name(),
                self.started(group)
            )));
        }
        // A group that is made smaller than it is chooses for itself which machine to end.
        let target = wanted.max(if wanted < state.desired { members } else { 0 });
        let subnets: Vec<String> = self
            .blueprint
            .subnets
            .iter()
            .take(self.zones_open)
            .cloned()
            .collect();
        let zones: BTreeSet<&String> = state.subnets.iter().collect();
        let same_zones = zones == subnets.iter().collect();
        if state.desired != target || state.max != target || !same_zones {
            let scaled = self.fleet.scale(group, target, &subnets).await;
            scaled.map_err(cloud_error)?;
            self.asked = Some(Instant::now());
        }
        if self.up(group) < wanted {
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
        let lack = Lack {
            up: self.up(group),
            enough: match group {
                Group::Master => wanted,
                Group::Workers => self.order.job.workers.min.min(wanted),
            },
            zones_open: self.zones_open,
            zones: self.blueprint.subnets.len(),
        };
        let said = format!("AWS starts no {} machine: {}", group.role(), trouble.said);
        match answer(&trouble, lack) {
            Answer::GiveUp => return Err(CloudError::Permanent(said)),
            Answer::OpenZone => {
                self.zones_open += 1;
                self.trouble = Some(format!("{said} The next zone is tried."));
            }
            Answer::Wait => self.trouble = Some(said),
        }
        Ok(())
    }

    pub(super) async fn end(&mut self, node: &NodeId) -> Result<(), CloudError> {
        let found = self.machines.values().find(|machine| machine.node == *node);
        let Some(id) = found.map(|machine| machine.id.clone()) else {
            return Ok(());
        };
        if self.ending.contains(&id) {
            return Ok(());
        }
        self.fleet.end(&id).await.map_err(cloud_error)
    }

    pub(super) async fn observe(&mut self) -> Result<Sight, CloudError> {
        let listed = self.fleet.machines().await.map_err(cloud_error)?;
        let now = Timestamp::now();
        for instance in &listed {
            self.take(instance, now);
        }
        let here: BTreeSet<&str> = listed.iter().map(|instance| instance.id.as_str()).collect();
        self.unlisted.retain(|id| !here.contains(id.as_str()));
        self.absent.retain(|id, _| !here.contains(id.as_str()));
        for machine in self
            .machines
            .values_mut()
            .filter(|machine| machine.ended.is_none())
        {
            if here.contains(machine.id.as_str()) {
                continue;
            }
            let since = self.absent.entry(machine.id.clone()).or_insert_with(Instant::now);
            if since.elapsed() >= FORGOTTEN {
                machine.ended = Some(now);
            }
        }
        Ok(Sight {
            machines: self.machines.values().cloned().collect(),
            trouble: self.trouble.clone(),
        })
    }

    fn take(&mut self, instance: &Instance, now: Timestamp) {
        if instance.state != State::Up {
            self.ending.insert(instance.id.clone());
        }
        if let Some(machine) = node::seen(instance, self.machines.get(&instance.id), &self.prices, now) {
            self.machines.insert(instance.id.clone(), machine);
        } else {
            tracing::warn!(id = %instance.id, "a machine with the tags of this run has a name that is none: it is ignored");
        }
    }

    /// Done when AWS says twice, some time apart, that no group is left: a listing may lag behind.
    pub(super) async fn release(&mut self) -> Result<(), CloudError> {
        let none = self.fleet.release().await.map_err(cloud_error)?;
        if !none {
            self.ungrouped = None;
            return Err(not_yet("the groups are being deleted"));
        }
        // What was started without a group, or left by one.
        let up = |machine: &&Machine| machine.ended.is_none() && !self.ending.contains(&machine.id);
        let left: Vec<String> = self
            .machines
            .values()
            .filter(up)
            .map(|machine| machine.id.clone())
            .collect();
        let left: Vec<String> = left.into_iter().chain(self.unlisted.iter().cloned()).collect();
        if !left.is_empty() {
            self.fleet.terminate(left).await.map_err(cloud_error)?;
        }
        let since = *self.ungrouped.get_or_insert_with(Instant::now);
        if since.elapsed() < self.site.look_every * 2 {
            return Err(not_yet("the groups are gone; looking once more"));
        }
        Ok(())
    }
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
