//! Who may come in: the security group of a server's machine.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup, TagSpecification};

use super::{PORT, Wanted, name, tags_of};
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};
use crate::fleet::{ec2_tags, filter};

/// The security group of a network's server, if it is there.
pub(super) async fn find(account: &Account, network: &str) -> Result<Option<SecurityGroup>, AwsError> {
    let name = name(network);
    let asked = account
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", &name))
        .filters(filter(format!("tag:{}", crate::tags::CONTROL), network));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(format!("look for the security group {name}"), error))?;
    Ok(answer.security_groups.unwrap_or_default().into_iter().next())
}

/// Address blocks that it lets in.
pub(super) fn blocks(group: &SecurityGroup) -> Vec<String> {
    let all = group.ip_permissions().iter().flat_map(|one| {
        let four = one.ip_ranges().iter().filter_map(|range| range.cidr_ip.clone());
        let six = one
            .ipv6_ranges()
            .iter()
            .filter_map(|range| range.cidr_ipv6.clone());
        four.chain(six)
    });
    let mut all: Vec<String> = all.collect();
    all.sort();
    all.dedup();
    all
}

/// Makes it, or finds it, and lets in whoever shall come in, and nobody else. Its id.
pub(super) async fn ensure(account: &Account, wanted: &Wanted) -> Result<String, AwsError> {
    let network = &wanted.network.name;
    let group = match find(account, network).await? {
        Some(group) => group,
        None => make(account, wanted).await?,
    };
    let id = group.group_id.clone().unwrap_or_default();
    let Some(from) = &wanted.from else {
        return Ok(id);
    };
    let there = blocks(&group);
    for block in there.iter().filter(|block| !from.contains(block)) {
        let shut = account
            .ec2
            .revoke_security_group_ingress()
            .group_id(&id)
            .ip_permissions(permission(block))
            .send()
            .await;
        gone(shut.map_err(|error| failed(format!("shut {id} to {block}"), error)))?;
    }
    for block in from.iter().filter(|block| !there.contains(block)) {
        let opened = account
            .ec2
            .authorize_security_group_ingress()
            .group_id(&id)
            .ip_permissions(permission(block))
            .send()
            .await;
        match opened.map_err(|error| failed(format!("open {id} to {block}"), error)) {
            Err(error) if error.kind() != Kind::Exists => return Err(error),
            _ => {}
        }
    }
    Ok(id)
}

async fn make(account: &Account, wanted: &Wanted) -> Result<SecurityGroup, AwsError> {
    let tags: BTreeMap<_, _> = tags_of(&wanted.network.name, &wanted.store);
    let made = account
        .ec2
        .create_security_group()
        .group_name(name(&wanted.network.name))
        .description("Mayfly: people reach the server of the team, and nobody anything else")
        .vpc_id(&wanted.network.vpc)
        .tag_specifications(
            TagSpecification::builder()
                .resource_type(ResourceType::SecurityGroup)
                .set_tags(Some(ec2_tags(&tags)))
                .build(),
        )
        .send()
        .await;
    let made = match made.map_err(|error| failed("make a security group", error)) {
        // Somebody else makes the same server at this moment.
        Err(error) if error.kind() == Kind::Exists => {
            return find(account, &wanted.network.name).await?.ok_or(error);
        }
        other => other?,
    };
    let id = made
        .group_id
        .ok_or_else(|| AwsError::new(Kind::Transient, "make a security group", "AWS's answer has no id"))?;
    Ok(SecurityGroup::builder().group_id(id).build())
}

fn permission(block: &str) -> IpPermission {
    let port = i32::from(PORT);
    let open = IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(port)
        .to_port(port);
    if block.contains(':') {
        return open
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).build())
            .build();
    }
    open.ip_ranges(IpRange::builder().cidr_ip(block).build()).build()
}

/// Takes it away.
pub(super) async fn delete(account: &Account, id: &str) -> Result<(), AwsError> {
    let deleted = account.ec2.delete_security_group().group_id(id).send().await;
    gone(deleted.map_err(|error| failed(format!("delete the security group {id}"), error)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_both_families_are_let_in_at_one_port_and_found_again() {
        let group = SecurityGroup::builder()
            .ip_permissions(permission("203.0.113.0/24"))
            .ip_permissions(permission("2001:db8::/32"))
            .build();
        assert_eq!(blocks(&group), ["2001:db8::/32", "203.0.113.0/24"]);
        for one in group.ip_permissions() {
            assert_eq!((one.from_port, one.to_port), (Some(7070), Some(7070)));
            assert_eq!(one.ip_protocol(), Some("tcp"));
        }
    }
}
