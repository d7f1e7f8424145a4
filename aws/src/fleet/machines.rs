//! The machines themselves, found by their tags.

use aws_sdk_ec2::types::{Filter, Instance as Described, InstanceLifecycleType, InstanceStateName};
use jiff::Timestamp;
use std::net::IpAddr;

use super::Fleet;
use crate::error::{AwsError, failed, gone};
use crate::tags::{self, Group};

/// Most machines in one answer (Amazon EC2 API reference, DescribeInstances).
const PAGE: i32 = 1_000;

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there, or on its way.
    Up,
    /// It has been told to end, and is paid for no more.
    Ending,
    /// It is no more.
    Ended,
}

/// A machine as AWS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// What it is for.
    pub group: Group,
    /// Type, such as `m7g.large`.
    pub kind: String,
    /// Availability zone.
    pub zone: String,
    /// Whether it is spot.
    pub spot: bool,
    /// Its private address.
    pub address: Option<IpAddr>,
    /// Where it is in its life.
    pub state: State,
    /// When it was launched.
    pub launched: Timestamp,
    /// Why it ends, in AWS's words.
    pub reason: Option<String>,
}

fn state(described: &Described) -> State {
    let name = described.state.as_ref().and_then(|state| state.name.as_ref());
    match name {
        Some(InstanceStateName::Terminated) => State::Ended,
        Some(InstanceStateName::ShuttingDown) => State::Ending,
        // A state that nobody knows may well be paid for. So is the disk of a machine that is stopped.
        _ => State::Up,
    }
}

fn tag<'a>(described: &'a Described, key: &str) -> Option<&'a str> {
    let tags = described.tags.as_deref().unwrap_or_default();
    let tag = tags.iter().find(|tag| tag.key.as_deref() == Some(key))?;
    tag.value.as_deref()
}

pub(super) fn instance(described: &Described) -> Option<Instance> {
    let reason = described.state_reason.as_ref();
    let placement = described.placement.as_ref();
    let launched = described.launch_time?;
    Some(Instance {
        id: described.instance_id.clone()?,
        group: tag(described, tags::ROLE).and_then(Group::of_role)?,
        kind: described
            .instance_type
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        zone: placement
            .and_then(|placement| placement.availability_zone.clone())
            .unwrap_or_default(),
        spot: described.instance_lifecycle == Some(InstanceLifecycleType::Spot),
        address: described
            .private_ip_address
            .as_deref()
            .and_then(|text| text.parse().ok()),
        state: state(described),
        launched: Timestamp::from_second(launched.secs()).ok()?,
        reason: reason.and_then(|reason| reason.message.clone()),
    })
}

pub(crate) fn filter(name: impl Into<String>, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

impl Fleet {
    /// Every machine with the run's tag, also those that ended within the last hour or so.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn machines(&self) -> Result<Vec<Instance>, AwsError> {
        let mut pages = self
            .account
            .ec2
            .describe_instances()
            .filters(filter(format!("tag:{}", tags::RUN), self.run.as_str()))
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut machines = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| failed(format!("look at the machines of {}", self.run), error))?;
            let reservations = page.reservations.unwrap_or_default();
            let instances = reservations
                .iter()
                .filter_map(|one| one.instances.as_ref())
                .flatten();
            machines.extend(instances.filter_map(instance));
        }
        Ok(machines)
    }

    /// Ends machines that no group keeps any more, a thousand with one call.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn terminate(&self, ids: Vec<String>) -> Result<(), AwsError> {
        for some in ids.chunks(PAGE.unsigned_abs() as usize) {
            let asked = self.account.ec2.terminate_instances();
            let ended = asked.set_instance_ids(Some(some.to_vec())).send().await;
            let ended = ended.map_err(|error| failed(format!("end {} machines", some.len()), error));
            gone(ended)?;
        }
        Ok(())
    }
}
