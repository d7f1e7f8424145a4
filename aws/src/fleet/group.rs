//! Auto Scaling groups: so many machines as are wanted, and none when nobody says so any more.

use aws_sdk_autoscaling::types::{
    InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification,
    MixedInstancesPolicy, Tag,
};
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::{Blueprint, Fleet, GroupState, Make, SOONEST};
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};
use crate::tags::{self, Group};

/// Name of the scheduled action that puts a group to zero.
const LEASE: &str = "lease";

fn count(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn back(n: Option<i32>) -> u32 {
    n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Where the machines of a group come from: types in their order, on demand or spot.
fn distribution(make: &Make) -> InstancesDistribution {
    let distribution = InstancesDistribution::builder()
        .on_demand_allocation_strategy("prioritized")
        .on_demand_base_capacity(count(make.on_demand_base));
    if make.spot {
        distribution
            .on_demand_percentage_above_base_capacity(0)
            .spot_allocation_strategy("price-capacity-optimized")
            .build()
    } else {
        distribution.on_demand_percentage_above_base_capacity(100).build()
    }
}

fn policy(name: &str, make: &Make) -> MixedInstancesPolicy {
    let template = LaunchTemplateSpecification::builder()
        .launch_template_name(name)
        // The latest: the join token inside is renewed under way.
        .version("$Latest")
        .build();
    let overrides = make
        .types
        .iter()
        .map(|kind| LaunchTemplateOverrides::builder().instance_type(kind).build());
    let template = LaunchTemplate::builder()
        .launch_template_specification(template)
        .set_overrides(Some(overrides.collect()))
        .build();
    MixedInstancesPolicy::builder()
        .launch_template(template)
        .instances_distribution(distribution(make))
        .build()
}

/// A tag of a group alone: instances and volumes have theirs from the template.
pub(crate) fn group_tag(group: &str, key: &str, value: &str) -> Tag {
    Tag::builder()
        .resource_id(group)
        .resource_type("auto-scaling-group")
        .key(key)
        .value(value)
        .propagate_at_launch(false)
        .build()
}

impl Fleet {
    /// Makes a group with no machine, or finds it.
    pub(super) async fn ensure_group(&self, blueprint: &Blueprint, group: Group) -> Result<(), AwsError> {
        let name = self.name(group);
        let first = blueprint.subnets.first().map(String::as_str).unwrap_or_default();
        let labels = blueprint.labels.of(group).into_iter();
        let tags = labels.map(|(key, value)| group_tag(&name, &key, &value));
        let made = self
            .account
            .groups
            .create_auto_scaling_group()
            .auto_scaling_group_name(&name)
            .mixed_instances_policy(policy(&name, blueprint.make(group)))
            .min_size(0)
            .max_size(0)
            .desired_capacity(0)
            .vpc_zone_identifier(first)
            .health_check_type("EC2")
            .set_tags(Some(tags.collect()))
            .send()
            .await;
        match made.map_err(|error| failed(format!("make the group {name}"), error)) {
            Err(error) if error.kind() != Kind::Exists => Err(error),
            // Also of a group that is there: whoever made it may have died before this.
            _ => self.suspend_balance(&name).await,
        }
    }

    /// No machine that works is ended so that zones be even.
    async fn suspend_balance(&self, name: &str) -> Result<(), AwsError> {
        let suspended = self
            .account
            .groups
            .suspend_processes()
            .auto_scaling_group_name(name)
            .scaling_processes("AZRebalance")
            .send()
            .await;
        suspended
            .map(|_| ())
            .map_err(|error| failed(format!("set up the group {name}"), error))
    }

    /// At this time AWS puts the group to zero by itself. A time that has come is put as soon as AWS takes one.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn put_group_lease(&self, group: Group, until: Timestamp) -> Result<(), AwsError> {
        let name = self.name(group);
        let clock = &self.account.clock;
        let (until, soonest) = (clock.theirs(until), clock.theirs(Timestamp::now()) + SOONEST);
        let put = self
            .account
            .groups
            .put_scheduled_update_group_action()
            .auto_scaling_group_name(&name)
            .scheduled_action_name(LEASE)
            .start_time(DateTime::from_secs(until.max(soonest).as_second()))
            .min_size(0)
            .max_size(0)
            .desired_capacity(0)
            .send()
            .await;
        put.map(|_| ())
            .map_err(|error| failed(format!("put the lease of the group {name}"), error))
    }

    /// When AWS puts a group to zero by itself: the latest of both. `None` where no group has a killer ahead of it.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn lease(&self) -> Result<Option<Timestamp>, AwsError> {
        let mut latest = None;
        for group in Group::ALL {
            let name = self.name(group);
            let asked = self
                .account
                .groups
                .describe_scheduled_actions()
                .auto_scaling_group_name(&name);
            let answer = asked.scheduled_action_names(LEASE).send().await;
            let answer =
                answer.map_err(|error| failed(format!("ask for the lease of the group {name}"), error));
            let answer = match answer {
                Err(error) if is_gone(&error) => continue,
                other => other?,
            };
            let actions = answer.scheduled_update_group_actions.unwrap_or_default();
            let starts = actions.iter().filter_map(|action| action.start_time);
            let starts = starts.filter_map(|start| Timestamp::from_second(start.secs()).ok());
            latest = latest.max(starts.max().map(|start| self.account.clock.ours(start)));
        }
        Ok(latest)
    }

    /// The groups that are there, with their machines.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn states(&self) -> Result<Vec<(Group, GroupState)>, AwsError> {
        let names = Group::ALL.map(|group| self.name(group));
        let answer = self
            .account
            .groups
            .describe_auto_scaling_groups()
            .set_auto_scaling_group_names(Some(names.to_vec()))
            .send()
            .await;
        let answer = answer.map_err(|error| failed(format!("look at the groups of {}", self.run), error))?;
        let mut states = Vec::new();
        for found in answer.auto_scaling_groups.unwrap_or_default() {
            let is_it = |group: &Group| found.auto_scaling_group_name.as_deref() == Some(&self.name(*group));
            let Some(group) = Group::ALL.into_iter().find(is_it) else {
                continue;
            };
            let mut labels = found.tags.unwrap_or_default().into_iter();
            let deadline = labels.find(|tag| tag.key.as_deref() == Some(tags::DEADLINE));
            let subnets = found.vpc_zone_identifier.unwrap_or_default();
            let members = found.instances.unwrap_or_default();
            let state = GroupState {
                desired: back(found.desired_capacity),
                max: back(found.max_size),
                going: found.status.is_some(),
                subnets: subnets
                    .split(',')
                    .map(|subnet| subnet.trim().to_owned())
                    .collect(),
                deadline: deadline.and_then(|tag| tag.value?.parse().ok()),
                members: members
                    .into_iter()
                    .filter_map(|member| member.instance_id)
                    .collect(),
            };
            states.push((group, state));
        }
        Ok(states)
    }

    /// Wants so many machines from now on, in these subnets.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn scale(&self, group: Group, wanted: u32, subnets: &[String]) -> Result<(), AwsError> {
        let name = self.name(group);
        let wanted = count(wanted);
        let scaled = self
            .account
            .groups
            .update_auto_scaling_group()
            .auto_scaling_group_name(&name)
            .min_size(0)
            .max_size(wanted)
            .desired_capacity(wanted)
            .vpc_zone_identifier(subnets.join(","))
            .send()
            .await;
        scaled
            .map(|_| ())
            .map_err(|error| failed(format!("scale the group {name} to {wanted}"), error))
    }

    /// Machines that this group starts from now on are these; those that are there stay as they are.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn make_from_now_on(&self, group: Group, make: &Make) -> Result<(), AwsError> {
        let name = self.name(group);
        let changed = self
            .account
            .groups
            .update_auto_scaling_group()
            .auto_scaling_group_name(&name)
            .mixed_instances_policy(policy(&name, make))
            .send()
            .await;
        changed
            .map(|_| ())
            .map_err(|error| failed(format!("change what the group {name} starts"), error))
    }

    /// Ends one machine; its group replaces it as long as so many are wanted.
    ///
    /// # Errors
    /// AWS refuses or does not answer. A machine that is gone is no error.
    pub async fn end(&self, instance: &str) -> Result<(), AwsError> {
        self.take_out(instance, false).await
    }

    /// Takes a machine out of its group, which shall have one less from then on.
    ///
    /// # Errors
    /// As [`Fleet::end`].
    pub async fn retire(&self, instance: &str) -> Result<(), AwsError> {
        self.take_out(instance, true).await
    }

    async fn take_out(&self, instance: &str, one_less: bool) -> Result<(), AwsError> {
        let ended = self
            .account
            .groups
            .terminate_instance_in_auto_scaling_group()
            .instance_id(instance)
            .should_decrement_desired_capacity(one_less)
            .send()
            .await;
        let ended = ended.map_err(|error| failed(format!("end {instance}"), error));
        match ended {
            // Auto Scaling has no code of its own for a machine that it does not know.
            Err(error) if error.kind() == Kind::Invalid && error.to_string().contains("not found") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// A group at zero with its machines told to end, and away.
    pub(super) async fn delete_group(&self, group: Group) -> Result<(), AwsError> {
        forget_group(&self.account, &self.name(group)).await
    }
}

/// A group at zero with its machines told to end, and away; one that is gone is no error.
pub(crate) async fn forget_group(account: &Account, name: &str) -> Result<(), AwsError> {
    // To zero first: a group that is being deleted replaces nobody, but its deletion may be refused for a while.
    let zero = account
        .groups
        .update_auto_scaling_group()
        .auto_scaling_group_name(name)
        .min_size(0)
        .max_size(0)
        .desired_capacity(0)
        .send()
        .await;
    let zero = zero.map_err(|error| failed(format!("scale the group {name} to 0"), error));
    if let Err(error) = zero
        && !is_gone(&error)
        && error.kind() != Kind::InUse
    {
        return Err(error);
    }
    let deleted = account
        .groups
        .delete_auto_scaling_group()
        .auto_scaling_group_name(name)
        .force_delete(true)
        .send()
        .await;
    let deleted = deleted.map_err(|error| failed(format!("delete the group {name}"), error));
    match gone(deleted) {
        Err(error) if is_gone(&error) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Auto Scaling says that a group is not there in words only.
fn is_gone(error: &AwsError) -> bool {
    error.kind() == Kind::NotFound
        || (error.kind() == Kind::Invalid && error.to_string().contains("not found"))
}
