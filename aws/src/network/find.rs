//! What there is of a network, by its tag.

use aws_sdk_ec2::types::{Filter, VpcEndpointType};
use serde::Serialize;

use super::roles::{job_role, node_role};
use super::way_out::{self, WayOut, is_way_out};
use super::{Subnet, thing};
use crate::Account;
use crate::error::{AwsError, failed, gone};
use crate::fleet::filter;
use crate::tags;

/// What was found of a network; parts are missing before it is made and while it is destroyed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Its name.
    pub name: String,
    /// `vpc-…`.
    pub vpc: Option<String>,
    /// `s3://bucket/prefix` that it was made with.
    pub store: Option<String>,
    /// Its address block.
    pub cidr: Option<String>,
    /// One for each zone.
    pub subnets: Vec<Subnet>,
    /// `igw-…`.
    pub gateway: Option<String>,
    /// Whether the gateway is attached to the VPC.
    pub attached: bool,
    /// Route table of the subnets.
    pub routes: Option<String>,
    /// Subnets that use it, with the id of the association.
    pub associated: Vec<(String, String)>,
    /// Way to S3.
    pub endpoint: Option<String>,
    /// Security group of the nodes.
    pub security_group: Option<String>,
    /// Whether machines in the subnets have a way to the internet of their own.
    pub public: bool,
    /// Whether it was made so that they have none, and go through a gateway.
    pub private: bool,
    /// What that gateway is made of.
    pub way_out: WayOut,
    /// Instance profile of the nodes, with a role in it.
    pub profile: Option<String>,
    /// ARN of that role.
    pub role: Option<String>,
    /// ARN of the role of jobs.
    pub job_role: Option<String>,
}

impl Parts {
    /// Of a network that is not there.
    #[must_use]
    pub fn none(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// Everything in the region that has the tag of this network.
///
/// # Errors
/// AWS refuses or does not answer.
pub async fn find(account: &Account, name: &str) -> Result<Parts, AwsError> {
    let mut parts = Parts::none(name);
    vpc(account, &mut parts).await?;
    subnets(account, &mut parts).await?;
    gateway(account, &mut parts).await?;
    routes(account, &mut parts).await?;
    endpoint(account, &mut parts).await?;
    security_group(account, &mut parts).await?;
    way_out::find(account, &mut parts).await?;
    parts.public = parts.gateway.is_some() && !parts.private;
    profile(account, &mut parts, &node_role(name)).await?;
    parts.job_role = role(account, &job_role(name)).await?;
    Ok(parts)
}

pub(super) fn tagged(name: &str) -> Filter {
    Filter::builder()
        .name(format!("tag:{}", tags::NETWORK))
        .values(name)
        .build()
}

pub(super) fn doing(what: &str, name: &str) -> String {
    format!("look for the {what} of the network {name}")
}

async fn vpc(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let answer = account
        .ec2
        .describe_vpcs()
        .filters(tagged(&parts.name))
        .send()
        .await;
    let answer = answer.map_err(|error| failed(doing("VPC", &parts.name), error))?;
    if let Some(vpc) = answer.vpcs.unwrap_or_default().into_iter().next() {
        let tags = vpc.tags.unwrap_or_default();
        parts.private = tags
            .iter()
            .any(|tag| tag.key() == Some(tags::ACCESS) && tag.value() == Some(tags::PRIVATE));
        let store = tags.into_iter().find(|tag| tag.key() == Some(tags::STORE));
        parts.store = store.and_then(|tag| tag.value);
        parts.vpc = vpc.vpc_id;
        parts.cidr = vpc.cidr_block;
    }
    Ok(())
}

async fn subnets(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let mut pages = account
        .ec2
        .describe_subnets()
        .filters(tagged(&parts.name))
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed(doing("subnets", &parts.name), error))?;
        for subnet in page.subnets.unwrap_or_default() {
            if is_way_out(subnet.tags()) {
                parts.way_out.subnet = subnet.subnet_id;
                continue;
            }
            let free = subnet.available_ip_address_count.unwrap_or(0);
            parts.subnets.push(Subnet {
                id: subnet.subnet_id.unwrap_or_default(),
                zone: subnet.availability_zone.unwrap_or_default(),
                free: u32::try_from(free).unwrap_or(0),
            });
        }
    }
    parts.subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    Ok(())
}

async fn gateway(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let asked = account
        .ec2
        .describe_internet_gateways()
        .filters(tagged(&parts.name));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("internet gateway", &parts.name), error))?;
    if let Some(gateway) = answer.internet_gateways.unwrap_or_default().into_iter().next() {
        let attachments = gateway.attachments.unwrap_or_default();
        parts.attached = attachments.iter().any(|one| one.vpc_id == parts.vpc);
        parts.gateway = gateway.internet_gateway_id;
    }
    Ok(())
}

async fn routes(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let asked = account.ec2.describe_route_tables().filters(tagged(&parts.name));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("route table", &parts.name), error))?;
    for table in answer.route_tables.unwrap_or_default() {
        let is_way_out = is_way_out(table.tags());
        let pair = |one: aws_sdk_ec2::types::RouteTableAssociation| {
            Some((one.subnet_id?, one.route_table_association_id?))
        };
        let associations = table.associations.unwrap_or_default().into_iter();
        let associated = associations.filter_map(pair).collect();
        if is_way_out {
            parts.way_out.associated = associated;
            parts.way_out.routes = table.route_table_id;
        } else {
            parts.associated = associated;
            parts.routes = table.route_table_id;
        }
    }
    Ok(())
}

async fn endpoint(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let asked = account.ec2.describe_vpc_endpoints().filters(tagged(&parts.name));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("way to S3", &parts.name), error))?;
    let there = answer
        .vpc_endpoints
        .unwrap_or_default()
        .into_iter()
        .find(|endpoint| {
            let state = endpoint
                .state
                .as_ref()
                .map(|state| state.as_str().to_ascii_lowercase());
            endpoint.vpc_endpoint_type == Some(VpcEndpointType::Gateway)
                && !matches!(state.as_deref(), Some("deleting" | "deleted"))
        });
    parts.endpoint = there.and_then(|endpoint| endpoint.vpc_endpoint_id);
    Ok(())
}

async fn security_group(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    // That of a team's server has the tag of the network, too.
    let asked = account
        .ec2
        .describe_security_groups()
        .filters(tagged(&parts.name))
        .filters(filter("group-name", thing(&parts.name, "nodes")));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("security group", &parts.name), error))?;
    let found = answer.security_groups.unwrap_or_default().into_iter().next();
    parts.security_group = found.and_then(|group| group.group_id);
    Ok(())
}

/// The instance profile of this name, if there is a role in it.
pub(super) async fn profile(account: &Account, parts: &mut Parts, name: &str) -> Result<(), AwsError> {
    let role = profile_role(account, name).await?.flatten();
    parts.profile = role.is_some().then(|| name.to_owned());
    parts.role = role;
    Ok(())
}

/// ARN of the role in an instance profile, if it is there and one is in it.
pub(crate) async fn profile_role(account: &Account, name: &str) -> Result<Option<Option<String>>, AwsError> {
    let asked = account.iam.get_instance_profile().instance_profile_name(name);
    let found = asked.send().await;
    let found = gone(found.map_err(|error| failed(format!("look for the instance profile {name}"), error)))?;
    let profile = found.and_then(|found| found.instance_profile);
    Ok(profile.map(|profile| Some(profile.roles().first()?.arn().to_owned())))
}

/// ARN of a role, if it is there.
pub(crate) async fn role(account: &Account, name: &str) -> Result<Option<String>, AwsError> {
    let found = account.iam.get_role().role_name(name).send().await;
    let found = gone(found.map_err(|error| failed(format!("look for the role {name}"), error)))?;
    Ok(found.and_then(|found| found.role).map(|role| role.arn))
}
