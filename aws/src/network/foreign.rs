//! What is in a VPC and is no part of the network.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, Tag};

use super::find::{Parts, doing};
use crate::Account;
use crate::error::{AwsError, failed};
use crate::fleet::filter;

/// States of a machine that is in the way of its network's end.
const ALIVE: [&str; 5] = ["pending", "running", "stopping", "stopped", "shutting-down"];

/// Names of everything in the VPC that is no part of the network: `the machine i-… (its name)`.
pub(super) async fn within(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let mut found = machines(account, parts, vpc).await?;
    found.extend(interfaces(account, parts, vpc).await?);
    found.extend(subnets(account, parts, vpc).await?);
    found.extend(gateways(account, parts, vpc).await?);
    found.extend(endpoints(account, parts, vpc).await?);
    found.extend(security_groups(account, parts, vpc).await?);
    found.extend(route_tables(account, parts, vpc).await?);
    Ok(found)
}

fn named(what: &str, id: Option<&str>, tags: &[Tag]) -> String {
    let id = id.unwrap_or("without an id");
    let name = tags.iter().find(|tag| tag.key() == Some("Name"));
    match name.and_then(Tag::value) {
        Some(name) => format!("the {what} {id} ({name})"),
        None => format!("the {what} {id}"),
    }
}

async fn machines(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let states = Filter::builder()
        .name("instance-state-name")
        .set_values(Some(ALIVE.map(String::from).to_vec()))
        .build();
    let asked = account
        .ec2
        .describe_instances()
        .filters(filter("vpc-id", vpc))
        .filters(states);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("machines", &parts.name), error))?;
    let all = answer.reservations().iter().flat_map(|one| one.instances());
    Ok(all
        .map(|one| named("machine", one.instance_id(), one.tags()))
        .collect())
}

/// Those of machines go with them, and those of gateways and endpoints too.
async fn interfaces(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account
        .ec2
        .describe_network_interfaces()
        .filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("interfaces", &parts.name), error))?;
    let own = |one: &&aws_sdk_ec2::types::NetworkInterface| {
        let of_machine = one.attachment().is_some_and(|at| at.instance_id().is_some());
        let of_gateway = parts.way_out.subnet.is_some() && one.subnet_id() == parts.way_out.subnet.as_deref();
        !of_machine && !of_gateway
    };
    let foreign = answer.network_interfaces().iter().filter(own);
    Ok(foreign
        .map(|one| named("interface", one.network_interface_id(), one.tag_set()))
        .collect())
}

async fn subnets(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account.ec2.describe_subnets().filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("subnets", &parts.name), error))?;
    let own: BTreeSet<&str> = parts
        .subnets
        .iter()
        .map(|subnet| subnet.id.as_str())
        .chain(parts.way_out.subnet.as_deref())
        .collect();
    let foreign = answer.subnets().iter();
    let foreign = foreign.filter(|one| !own.contains(one.subnet_id().unwrap_or_default()));
    Ok(foreign
        .map(|one| named("subnet", one.subnet_id(), one.tags()))
        .collect())
}

/// Of both kinds: to the internet, and NAT.
async fn gateways(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account
        .ec2
        .describe_internet_gateways()
        .filters(filter("attachment.vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("internet gateway", &parts.name), error))?;
    let to_world = answer.internet_gateways().iter();
    let to_world = to_world.filter(|one| one.internet_gateway_id() != parts.gateway.as_deref());
    let mut foreign: Vec<String> = to_world
        .map(|one| named("internet gateway", one.internet_gateway_id(), one.tags()))
        .collect();
    let asked = account.ec2.describe_nat_gateways().filter(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("NAT gateway", &parts.name), error))?;
    let nat = answer.nat_gateways().iter().filter(|one| {
        let state = one.state().map(|state| state.as_str().to_ascii_lowercase());
        let is_there = !matches!(state.as_deref(), Some("deleted" | "deleting" | "failed"));
        is_there && one.nat_gateway_id() != parts.way_out.gateway.as_deref()
    });
    foreign.extend(nat.map(|one| named("NAT gateway", one.nat_gateway_id(), one.tags())));
    Ok(foreign)
}

async fn endpoints(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account
        .ec2
        .describe_vpc_endpoints()
        .filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("endpoints", &parts.name), error))?;
    let foreign = answer.vpc_endpoints().iter().filter(|one| {
        let state = one.state().map(|state| state.as_str().to_ascii_lowercase());
        !matches!(state.as_deref(), Some("deleting" | "deleted"))
            && one.vpc_endpoint_id() != parts.endpoint.as_deref()
    });
    Ok(foreign
        .map(|one| named("endpoint", one.vpc_endpoint_id(), one.tags()))
        .collect())
}

async fn security_groups(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account
        .ec2
        .describe_security_groups()
        .filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("security groups", &parts.name), error))?;
    // The VPC's own is called so, and goes with it.
    let foreign = answer.security_groups().iter().filter(|one| {
        one.group_name() != Some("default") && one.group_id() != parts.security_group.as_deref()
    });
    Ok(foreign
        .map(|one| {
            let name = one.group_name().unwrap_or_default();
            format!(
                "the security group {} ({name})",
                one.group_id().unwrap_or_default()
            )
        })
        .collect())
}

async fn route_tables(account: &Account, parts: &Parts, vpc: &str) -> Result<Vec<String>, AwsError> {
    let asked = account.ec2.describe_route_tables().filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("routes", &parts.name), error))?;
    let own = [&parts.routes, &parts.way_out.routes];
    let foreign = answer.route_tables().iter().filter(|one| {
        let is_main = one.associations().iter().any(|at| at.main() == Some(true));
        !is_main && own.iter().all(|own| own.as_deref() != one.route_table_id())
    });
    Ok(foreign
        .map(|one| named("route table", one.route_table_id(), one.tags()))
        .collect())
}
