//! Makes a server, or brings the one that is there to what it shall be.

use aws_sdk_autoscaling::types::LaunchTemplateSpecification;

use super::{POLICIES, Parts, Wanted, door, find, name, tags_of, template};
use crate::Account;
use crate::error::{AwsError, Kind, failed};
use crate::fleet::group_tag;
use crate::network::{Role, ensure_profile, ensure_role};

/// Makes what is missing, part by part, telling `progress` what it makes; the machine last, by its group. Returns what
/// there is then. The machine of a server that is there stays as it is: the next one is as wanted.
///
/// # Errors
/// AWS refuses or does not answer; what was made is found by the next call.
pub async fn create(
    account: &Account,
    wanted: &Wanted,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Parts, AwsError> {
    let network = &wanted.network.name;
    let there = find(account, network).await?;
    let mut making = |what: &str, missing: bool| {
        if missing {
            progress(what);
        }
    };
    making("security group", there.security_group.is_none());
    let door = door::ensure(account, wanted).await?;
    making("role", there.role.is_none() || there.profile.is_none());
    roles(account, wanted).await?;
    making("launch template", there.template.is_none());
    let version = template::ensure(account, wanted, &door).await?;
    making("group of one machine", there.group.is_none());
    group(account, wanted, &version).await?;
    find(account, network).await
}

async fn roles(account: &Account, wanted: &Wanted) -> Result<(), AwsError> {
    let [launcher, control] = POLICIES;
    let (name, tags) = (
        name(&wanted.network.name),
        tags_of(&wanted.network.name, &wanted.store),
    );
    let role = Role {
        name: name.clone(),
        what: "Mayfly: what the server of a team may do",
        trust: &wanted.policies.trust,
        policies: &[
            (launcher, &wanted.policies.launcher),
            (control, &wanted.policies.control),
        ],
    };
    ensure_role(account, &role, &tags).await?;
    ensure_profile(account, &name, &tags).await
}

async fn group(account: &Account, wanted: &Wanted, version: &str) -> Result<(), AwsError> {
    let name = name(&wanted.network.name);
    let template = LaunchTemplateSpecification::builder()
        .launch_template_name(&name)
        .version(version)
        .build();
    let subnets: Vec<&str> = wanted.network.subnets.iter().map(|one| one.id.as_str()).collect();
    let tags = tags_of(&wanted.network.name, &wanted.store).into_iter();
    let tags = tags.map(|(key, value)| group_tag(&name, &key, &value));
    let made = account
        .groups
        .create_auto_scaling_group()
        .auto_scaling_group_name(&name)
        .launch_template(template.clone())
        .min_size(1)
        .max_size(1)
        .desired_capacity(1)
        .vpc_zone_identifier(subnets.join(","))
        .health_check_type("EC2")
        .set_tags(Some(tags.collect()))
        .send()
        .await;
    match made.map_err(|error| failed(format!("make the group {name}"), error)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::Exists => {
            let changed = account
                .groups
                .update_auto_scaling_group()
                .auto_scaling_group_name(&name)
                .launch_template(template)
                .min_size(1)
                .max_size(1)
                .desired_capacity(1)
                .vpc_zone_identifier(subnets.join(","))
                .send()
                .await;
            changed
                .map(|_| ())
                .map_err(|error| failed(format!("change the group {name}"), error))
        }
        Err(error) => Err(error),
    }
}
