//! The machines of one run: two groups, `master` and `workers`, each an Auto Scaling group with a launch template.
//!
//! What a launch or a release costs in calls does not depend on how many machines there are; looking at them takes one
//! call for each thousand.

mod deadline;
mod group;
mod lost;
mod machines;
mod seen;
mod template;
mod trouble;

use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::RunId;

pub(crate) use group::{forget_group, group_tag};
pub use lost::{Lost, LostKind, clear, everything};
pub(crate) use machines::filter;
pub use seen::{GroupState, Instance, State, Trouble};
pub use template::{ConsulAt, JobRole, UserData};
pub(crate) use template::{ec2_tags, guarded_metadata, on_launch};

use crate::Account;
use crate::error::AwsError;
use crate::tags::{Group, Labels};

/// What the machines of a run are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// What its tags say.
    pub labels: Labels,
    /// The baked image.
    pub image: String,
    /// Name of the root device in that image.
    pub root_device: String,
    /// Subnets of different zones, the preferred one first; never empty.
    pub subnets: Vec<String>,
    /// The security group of the network's nodes.
    pub security_group: String,
    /// Name of the instance profile.
    pub profile: String,
    /// Name of a key pair, for whoever wants to log in.
    pub key_pair: Option<String>,
    /// Whether machines get public addresses: only where the subnets are public and there is no other way out.
    pub public_address: bool,
    /// The machine that drives the job.
    pub master: Make,
    /// The others.
    pub workers: Make,
}

/// What the machines of one group are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// Types, the preferred one first; never empty.
    pub types: Vec<String>,
    /// Whether spot capacity is asked for.
    pub spot: bool,
    /// So many of them are on demand all the same.
    pub on_demand_base: u32,
    /// Size of the root volume in GiB.
    pub disk_gib: u32,
}

impl Blueprint {
    /// What the machines of this group are.
    #[must_use]
    pub fn make(&self, group: Group) -> &Make {
        match group {
            Group::Master => &self.master,
            Group::Workers => &self.workers,
        }
    }
}

/// The calls about one run's machines.
#[derive(Clone)]
pub struct Fleet {
    account: Account,
    run: RunId,
}

impl Fleet {
    /// Makes no request.
    #[must_use]
    pub fn new(account: Account, run: RunId) -> Self {
        Self { account, run }
    }

    /// Makes both groups at zero, or finds them, and arms their killer: at `lease` from now AWS itself puts them to zero,
    /// unless that is moved. No machine exists before that.
    ///
    /// # Errors
    /// AWS refuses or does not answer; what was made is found by the next call.
    pub async fn arm(
        &self,
        blueprint: &Blueprint,
        user_data: impl Fn(Group) -> UserData,
        lease: Timestamp,
    ) -> Result<(), AwsError> {
        for group in Group::ALL {
            self.ensure_template(blueprint, group, &user_data(group)).await?;
            self.ensure_group(blueprint, group).await?;
        }
        self.put_lease(lease).await
    }

    /// Moves the killer of both groups to another time.
    ///
    /// # Errors
    /// As [`Fleet::arm`].
    pub async fn put_lease(&self, until: Timestamp) -> Result<(), AwsError> {
        for group in Group::ALL {
            self.put_group_lease(group, until).await?;
        }
        Ok(())
    }

    /// What machines that start from now on are told.
    ///
    /// # Errors
    /// As [`Fleet::arm`].
    pub async fn tell_new_ones(
        &self,
        blueprint: &Blueprint,
        user_data: impl Fn(Group) -> UserData,
    ) -> Result<(), AwsError> {
        for group in Group::ALL {
            self.new_version(blueprint, group, &user_data(group)).await?;
        }
        Ok(())
    }

    /// These groups to zero, and they and their templates away; those that were still there. Machines may still be ending.
    ///
    /// # Errors
    /// As [`Fleet::arm`].
    pub async fn release(&self, groups: &[Group]) -> Result<Vec<(Group, GroupState)>, AwsError> {
        let mut left = self.states().await?;
        left.retain(|(group, _)| groups.contains(group));
        // Templates first: the last group may take the machine along that says so. They cost nothing: one that cannot be
        // deleted keeps no machine.
        let mut templates = Ok(());
        for group in groups {
            templates = templates.and(self.delete_template(*group).await);
        }
        for (group, _) in left.iter().filter(|(_, state)| !state.going) {
            self.delete_group(*group).await?;
        }
        templates.map(|()| left)
    }

    fn name(&self, group: Group) -> String {
        crate::tags::name(&self.run, group)
    }
}

/// Earliest time that AWS takes for a scheduled action, from now.
const SOONEST: Duration = Duration::from_secs(60);
