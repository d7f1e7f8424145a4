//! What there is of a server.

use aws_sdk_ec2::types::{Filter, Instance};
use jiff::Timestamp;

use super::{Group, Machine, Parts, door, name};
use crate::Account;
use crate::error::{AwsError, failed, gone};
use crate::fleet::filter;
use crate::network::{profile_role, role};
use crate::tags;

/// States of a machine that may be paid for, or of which something is still there.
const THERE: [&str; 5] = ["pending", "running", "stopping", "stopped", "shutting-down"];

/// Everything of the server of this network.
///
/// # Errors
/// AWS refuses or does not answer.
pub async fn find(account: &Account, network: &str) -> Result<Parts, AwsError> {
    let name = name(network);
    let mut parts = Parts::none(network);
    group(account, &name, &mut parts).await?;
    parts.machines = machines(account, network).await?;
    parts.template = template(account, &name).await?;
    if let Some(found) = door::find(account, network).await? {
        parts.from = door::blocks(&found);
        parts.security_group = found.group_id;
    }
    parts.profile = profile_role(account, &name).await?.map(|_| name.clone());
    parts.role = role(account, &name).await?;
    Ok(parts)
}

/// Whether anything of it is there: its security group is made first and deleted last.
///
/// # Errors
/// As [`find`].
pub async fn stands(account: &Account, network: &str) -> Result<bool, AwsError> {
    Ok(door::find(account, network).await?.is_some())
}

async fn group(account: &Account, name: &str, parts: &mut Parts) -> Result<(), AwsError> {
    let asked = account
        .groups
        .describe_auto_scaling_groups()
        .auto_scaling_group_names(name);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(format!("look for the group {name}"), error))?;
    let Some(found) = answer.auto_scaling_groups.unwrap_or_default().into_iter().next() else {
        return Ok(());
    };
    parts.going = found.status.is_some();
    if !parts.going {
        parts.group = Some(Group {
            name: name.to_owned(),
            desired: found
                .desired_capacity
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0),
            trouble: trouble(account, name).await?,
        });
    }
    Ok(())
}

/// Why the latest launch of a group failed, if it did.
async fn trouble(account: &Account, name: &str) -> Result<Option<String>, AwsError> {
    let asked = account
        .groups
        .describe_scaling_activities()
        .auto_scaling_group_name(name)
        .max_records(1);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(format!("look what the group {name} did"), error))?;
    let latest = answer.activities.unwrap_or_default().into_iter().next();
    let failed = latest.filter(|one| {
        one.status_code
            .as_ref()
            .is_some_and(|code| code.as_str() == "Failed")
    });
    Ok(failed.and_then(|one| one.status_message))
}

async fn machines(account: &Account, network: &str) -> Result<Vec<Machine>, AwsError> {
    let states = Filter::builder()
        .name("instance-state-name")
        .set_values(Some(THERE.map(String::from).to_vec()))
        .build();
    let asked = account
        .ec2
        .describe_instances()
        .filters(filter(format!("tag:{}", tags::CONTROL), network))
        .filters(states);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed("look for the server's machine", error))?;
    let reservations = answer.reservations.unwrap_or_default();
    let all = reservations.iter().flat_map(|one| one.instances());
    Ok(all.map(machine).collect())
}

fn machine(described: &Instance) -> Machine {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let placement = described.placement.as_ref();
    let state = described.state.as_ref().and_then(|state| state.name.as_ref());
    let launched = described.launch_time.as_ref();
    Machine {
        id: text(described.instance_id()),
        state: text(state.map(|name| name.as_str())),
        kind: text(described.instance_type.as_ref().map(|kind| kind.as_str())),
        zone: text(placement.and_then(|placement| placement.availability_zone())),
        address: described.private_ip_address().and_then(|text| text.parse().ok()),
        public_address: described.public_ip_address().and_then(|text| text.parse().ok()),
        launched: launched.and_then(|time| Timestamp::from_second(time.secs()).ok()),
    }
}

async fn template(account: &Account, name: &str) -> Result<Option<String>, AwsError> {
    let asked = account
        .ec2
        .describe_launch_templates()
        .launch_template_names(name);
    let answer = asked.send().await;
    let answer = gone(answer.map_err(|error| failed(format!("look for the launch template {name}"), error)))?;
    let found = answer.and_then(|answer| answer.launch_templates);
    let first = found.unwrap_or_default().into_iter().next();
    Ok(first.and_then(|template| template.launch_template_id))
}
