//! The machines themselves, found by their tags.

use aws_sdk_ec2::types::{Filter, Instance as Described, InstanceLifecycleType, InstanceStateName};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

use super::{Fleet, Instance, State};
use crate::clock::Clock;
use crate::error::{AwsError, Kind, failed, gone};
use crate::tags::{self, Group};

/// Most machines in one answer (Amazon EC2 API reference, DescribeInstances).
const PAGE: i32 = 1_000;
/// Most values of one filter (Amazon EC2 API reference, Filter).
const FILTER_VALUES_MAX: usize = 200;

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

/// AWS tells it in words only: `User initiated (2030-01-31 12:00:00 GMT)`.
fn told_to_end(words: &str) -> Option<Timestamp> {
    let (_, rest) = words.rsplit_once('(')?;
    let (time, _) = rest.split_once(" GMT)")?;
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// `known` is what the machine is for, where its tags do not say so any more.
pub(super) fn instance(described: &Described, known: Option<Group>, clock: &Clock) -> Option<Instance> {
    let reason = described.state_reason.as_ref();
    let placement = described.placement.as_ref();
    let launched = described.launch_time?;
    Some(Instance {
        id: described.instance_id.clone()?,
        group: tag(described, tags::ROLE).and_then(Group::of_role).or(known)?,
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
        launched: clock.ours(Timestamp::from_second(launched.secs()).ok()?),
        told_to_end: described
            .state_transition_reason
            .as_deref()
            .and_then(told_to_end)
            .map(|theirs| clock.ours(theirs)),
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
        let wanted = filter(format!("tag:{}", tags::RUN), self.run.as_str());
        self.listed(wanted, &|_| None).await
    }

    /// Machines by their ids, whatever their tags say, and what each is for; those that AWS does not know are left out.
    /// Of very many only the first are asked for.
    ///
    /// # Errors
    /// As [`Fleet::machines`].
    pub async fn named(&self, known: &BTreeMap<String, Group>) -> Result<Vec<Instance>, AwsError> {
        let ids = known.keys().take(FILTER_VALUES_MAX).cloned();
        let wanted = Filter::builder()
            .name("instance-id")
            .set_values(Some(ids.collect()));
        self.listed(wanted.build(), &|id| known.get(id).copied()).await
    }

    async fn listed(
        &self,
        wanted: Filter,
        known: &(dyn Fn(&str) -> Option<Group> + Sync),
    ) -> Result<Vec<Instance>, AwsError> {
        let asked = self.account.ec2.describe_instances().filters(wanted);
        let mut pages = asked.max_results(PAGE).into_paginator().send();
        let mut machines = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| failed(format!("look at the machines of {}", self.run), error))?;
            let reservations = page.reservations.unwrap_or_default();
            let instances = reservations
                .iter()
                .filter_map(|one| one.instances.as_ref())
                .flatten();
            machines.extend(instances.filter_map(|described| {
                let known = described.instance_id.as_deref().and_then(known);
                instance(described, known, &self.account.clock)
            }));
        }
        Ok(machines)
    }

    /// Ends machines that no group keeps any more, a thousand with one call.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn terminate(&self, ids: Vec<String>) -> Result<(), AwsError> {
        let mut batches: Vec<&[String]> = ids.chunks(PAGE.unsigned_abs() as usize).collect();
        while let Some(batch) = batches.pop() {
            let asked = self.account.ec2.terminate_instances();
            let ended = asked.set_instance_ids(Some(batch.to_vec())).send().await;
            match ended.map_err(|error| failed(format!("end {} machines", batch.len()), error)) {
                // EC2 ends none of those that it is asked for together with one that it does not know, or not yet.
                Err(error) if error.kind() == Kind::NotFound && batch.len() > 1 => {
                    let (some, others) = batch.split_at(batch.len() / 2);
                    batches.extend([some, others]);
                }
                ended => {
                    gone(ended)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_machine_was_told_to_end_is_read_out_of_words() {
        let at = "2030-01-31T12:00:00Z".parse().ok();
        assert_eq!(told_to_end("User initiated (2030-01-31 12:00:00 GMT)"), at);
        for words in [
            "",
            "User initiated",
            "Instance initiated shutdown",
            "(soon GMT)",
            "Server.X (2030-01-31)",
        ] {
            assert_eq!(told_to_end(words), None, "{words}");
        }
    }
}
