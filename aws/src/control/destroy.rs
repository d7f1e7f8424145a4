//! Takes a server away, in the order that AWS allows, and looks until nothing of it is left.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{POLICIES, Parts, door, find, name};
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};
use crate::fleet::forget_group;
use crate::network::{delete_profile, delete_role};

/// Between two looks at what is still ending.
const LOOK: Duration = Duration::from_secs(3);
/// A machine ends within a minute or two.
const END_MAX: Duration = Duration::from_secs(600);

/// Takes everything of a server away, telling `progress`; parts that are gone are passed over. Nothing is left when it
/// returns.
///
/// # Errors
/// AWS refuses or does not answer, or the machine does not end; the next call goes on.
pub async fn destroy(
    account: &Account,
    network: &str,
    mut progress: impl FnMut(&str) + Send,
) -> Result<(), AwsError> {
    let name = name(network);
    let mut parts = find(account, network).await?;
    if parts.group.is_some() || parts.going || !parts.machines.is_empty() {
        progress("machine and its group");
        if parts.group.is_some() {
            forget_group(account, &name).await?;
        }
        parts = ended(account, network).await?;
    }
    if parts.template.is_some() {
        progress("launch template");
        let deleted = account
            .ec2
            .delete_launch_template()
            .launch_template_name(&name)
            .send()
            .await;
        gone(deleted.map_err(|error| failed(format!("delete the launch template {name}"), error)))?;
    }
    if parts.role.is_some() || parts.profile.is_some() {
        progress("role");
        delete_profile(account, &name).await?;
        delete_role(account, &name, &POLICIES).await?;
    }
    if let Some(group) = &parts.security_group {
        progress("security group");
        door::delete(account, group).await?;
    }
    let left = find(account, network).await?;
    if left.is_there() {
        return Err(AwsError::new(
            Kind::Transient,
            format!("take the server of the network {network} away"),
            "AWS still lists parts of it: say it again",
        ));
    }
    Ok(())
}

/// Waits until no machine is left. One that is in no group, since somebody took it out, is ended by its id.
async fn ended(account: &Account, network: &str) -> Result<Parts, AwsError> {
    let until = Instant::now() + END_MAX;
    loop {
        let parts = find(account, network).await?;
        if parts.group.is_none() && !parts.going && parts.machines.is_empty() {
            return Ok(parts);
        }
        if Instant::now() >= until {
            return Err(AwsError::new(
                Kind::InUse,
                format!("take the server of the network {network} away"),
                format!(
                    "its machine has not ended in {} s: say it again",
                    END_MAX.as_secs()
                ),
            ));
        }
        let alone = parts.group.is_none() && !parts.going;
        let up = parts.machines.iter().filter(|one| one.state != "shutting-down");
        let ids: Vec<String> = up.map(|one| one.id.clone()).collect();
        if alone && !ids.is_empty() {
            let ended = account
                .ec2
                .terminate_instances()
                .set_instance_ids(Some(ids))
                .send()
                .await;
            gone(ended.map_err(|error| failed("end the server's machine", error)))?;
        }
        sleep(LOOK).await;
    }
}
