//! What is there although nobody answers for it: found by tags alone, in one region.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::Filter as GroupFilter;
use jiff::Timestamp;
use mayfly_proto::RunId;

use super::machines::{filter, instance};
use super::{Fleet, State};
use crate::Account;
use crate::clock::Clock;
use crate::error::{AwsError, failed};
use crate::tags;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostKind {
    /// A machine.
    Machine,
    /// A group.
    Group,
    /// A launch template.
    Template,
}

/// A thing of a run, as its tags tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The run.
    pub run: RunId,
    /// What it is.
    pub kind: LostKind,
    /// The end of its run; `None` where the tag is missing or makes no sense.
    pub deadline: Option<Timestamp>,
}

type Tags = BTreeMap<String, String>;

fn lost(kind: LostKind, tags: &Tags, clock: &Clock) -> Option<Lost> {
    let run = tags.get(tags::RUN)?.parse().ok()?;
    let deadline = tags.get(tags::DEADLINE).and_then(|text| text.parse().ok());
    Some(Lost {
        run,
        kind,
        deadline: deadline.map(|theirs| clock.ours(theirs)),
    })
}

fn ec2_tags(tags: Option<&[aws_sdk_ec2::types::Tag]>) -> Tags {
    let pair = |tag: &aws_sdk_ec2::types::Tag| Some((tag.key.clone()?, tag.value.clone()?));
    tags.unwrap_or_default().iter().filter_map(pair).collect()
}

/// Everything in this region that has the tag of a run: machines that have not ended, groups and templates.
///
/// # Errors
/// AWS refuses or does not answer.
pub async fn everything(account: &Account) -> Result<Vec<Lost>, AwsError> {
    let mut found = machines(account).await?;
    found.extend(groups(account).await?);
    found.extend(templates(account).await?);
    Ok(found)
}

async fn machines(account: &Account) -> Result<Vec<Lost>, AwsError> {
    let mut pages = account
        .ec2
        .describe_instances()
        .filters(filter("tag-key", tags::RUN))
        .filters(filter(format!("tag:{}", tags::MANAGED.0), tags::MANAGED.1))
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list the machines of the region", error))?;
        for reservation in page.reservations.unwrap_or_default() {
            for described in reservation.instances.unwrap_or_default() {
                let tags = ec2_tags(described.tags.as_deref());
                if instance(&described, None, &account.clock)
                    .is_some_and(|machine| machine.state != State::Ended)
                {
                    found.extend(lost(LostKind::Machine, &tags, &account.clock));
                }
            }
        }
    }
    Ok(found)
}

async fn groups(account: &Account) -> Result<Vec<Lost>, AwsError> {
    let managed = GroupFilter::builder()
        .name(format!("tag:{}", tags::MANAGED.0))
        .values(tags::MANAGED.1)
        .build();
    let mut pages = account
        .groups
        .describe_auto_scaling_groups()
        .filters(managed)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list the groups of the region", error))?;
        for group in page.auto_scaling_groups.unwrap_or_default() {
            let pair = |tag: &aws_sdk_autoscaling::types::TagDescription| {
                Some((tag.key.clone()?, tag.value.clone()?))
            };
            let tags: Tags = group.tags.unwrap_or_default().iter().filter_map(pair).collect();
            found.extend(lost(LostKind::Group, &tags, &account.clock));
        }
    }
    Ok(found)
}

async fn templates(account: &Account) -> Result<Vec<Lost>, AwsError> {
    let mut pages = account
        .ec2
        .describe_launch_templates()
        .filters(filter(format!("tag:{}", tags::MANAGED.0), tags::MANAGED.1))
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list the launch templates of the region", error))?;
        for template in page.launch_templates.unwrap_or_default() {
            let tags = ec2_tags(template.tags.as_deref());
            found.extend(lost(LostKind::Template, &tags, &account.clock));
        }
    }
    Ok(found)
}

/// Ends what is left of a run: its groups and templates, and machines that no group keeps.
///
/// # Errors
/// AWS refuses or does not answer; the next call goes on.
pub async fn clear(account: &Account, run: &RunId) -> Result<(), AwsError> {
    let fleet = Fleet::new(account.clone(), run.clone());
    fleet.release(&tags::Group::ALL).await?;
    let up = fleet
        .machines()
        .await?
        .into_iter()
        .filter(|machine| machine.state == State::Up);
    fleet.terminate(up.map(|machine| machine.id).collect()).await
}
