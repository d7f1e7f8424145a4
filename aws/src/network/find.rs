//! What there is of a network, by its tag.

use aws_sdk_ec2::types::{Filter, VpcEndpointType};
use serde::Serialize;

use super::{Subnet, thing};
use crate::Account;
use crate::error::{AwsError, failed, gone};
use crate::tags;

/// What was found of a network; parts are missing before it is made and while it is destroyed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Its name.
    pub name: String,
    /// `vpc-…`.
    pub vpc: Option<String>,
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
    /// Instance profile of the nodes, with its role in it.
    pub profile: Option<String>,
    /// Role of the nodes.
    pub role: Option<String>,
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
    role(account, &mut parts).await?;
    Ok(parts)
}

fn tagged(name: &str) -> Filter {
    Filter::builder()
        .name(format!("tag:{}", tags::NETWORK))
        .values(name)
        .build()
}

fn doing(what: &str, name: &str) -> String {
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
    if let Some(table) = answer.route_tables.unwrap_or_default().into_iter().next() {
        let pair = |one: aws_sdk_ec2::types::RouteTableAssociation| {
            Some((one.subnet_id?, one.route_table_association_id?))
        };
        parts.associated = table
            .associations
            .unwrap_or_default()
            .into_iter()
            .filter_map(pair)
            .collect();
        parts.routes = table.route_table_id;
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
    let asked = account
        .ec2
        .describe_security_groups()
        .filters(tagged(&parts.name));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("security group", &parts.name), error))?;
    let found = answer.security_groups.unwrap_or_default().into_iter().next();
    parts.security_group = found.and_then(|group| group.group_id);
    Ok(())
}

async fn role(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let role = thing(&parts.name, "node");
    let found = account.iam.get_role().role_name(&role).send().await;
    let found = gone(found.map_err(|error| failed(doing("role", &parts.name), error)))?;
    parts.role = found.is_some().then(|| role.clone());
    let found = account
        .iam
        .get_instance_profile()
        .instance_profile_name(&role)
        .send()
        .await;
    let found = gone(found.map_err(|error| failed(doing("instance profile", &parts.name), error)))?;
    let profile = found.and_then(|found| found.instance_profile);
    let has_role = profile.is_some_and(|profile| profile.roles().iter().any(|one| one.role_name() == role));
    parts.profile = has_role.then_some(role);
    Ok(())
}
