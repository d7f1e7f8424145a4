//! Takes a network away, in the order that AWS allows. The bucket stays: results are in it.

use super::find::{Parts, find};
use super::roles::delete_roles;
use super::{foreign, way_out};
use crate::Account;
use crate::control;
use crate::error::{AwsError, Kind, failed, gone};

/// So many things that are in the way are named.
const NAMED: usize = 10;

/// Takes everything of a network away, telling `progress`; parts that are gone are passed over.
///
/// # Errors
/// Machines or the server of a team are still in it, or AWS refuses or does not answer; the next call goes on.
pub async fn destroy(
    account: &Account,
    name: &str,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Parts, AwsError> {
    if control::stands(account, name).await? {
        return Err(AwsError::new(
            Kind::InUse,
            format!("destroy the network {name}"),
            format!(
                "the server of a team is in it; `coordinator control destroy {name}` takes it away, and nothing has been \
                 taken away yet"
            ),
        ));
    }
    let parts = find(account, name).await?;
    if let Some(vpc) = &parts.vpc {
        refuse_if_used(account, &parts, vpc).await?;
    }
    if let Some(group) = &parts.security_group {
        progress("security group");
        let deleted = account.ec2.delete_security_group().group_id(group).send().await;
        gone(deleted.map_err(|error| failed(format!("delete the security group {group}"), error)))?;
    }
    if let Some(endpoint) = &parts.endpoint {
        progress("way to S3");
        let deleted = account
            .ec2
            .delete_vpc_endpoints()
            .vpc_endpoint_ids(endpoint)
            .send()
            .await;
        gone(deleted.map_err(|error| failed(format!("delete {endpoint}"), error)))?;
    }
    routes(account, &parts, &mut progress).await?;
    way_out::take_away(account, &parts, &mut progress).await?;
    for subnet in &parts.subnets {
        progress(&format!("subnet in {}", subnet.zone));
        let deleted = account.ec2.delete_subnet().subnet_id(&subnet.id).send().await;
        gone(deleted.map_err(|error| failed(format!("delete {}", subnet.id), error)))?;
    }
    gateway(account, &parts, &mut progress).await?;
    if let Some(vpc) = &parts.vpc {
        progress("VPC");
        let deleted = account.ec2.delete_vpc().vpc_id(vpc).send().await;
        gone(deleted.map_err(|error| failed(format!("delete {vpc}"), error)))?;
    }
    if parts.role.is_some() || parts.job_role.is_some() {
        progress("roles of nodes and jobs");
    }
    delete_roles(account, name).await?;
    find(account, name).await
}

/// Nothing is taken away while something of somebody else's is there: AWS would refuse in the middle.
async fn refuse_if_used(account: &Account, parts: &Parts, vpc: &str) -> Result<(), AwsError> {
    let foreign = foreign::within(account, parts, vpc).await?;
    if foreign.is_empty() {
        return Ok(());
    }
    let named = foreign
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match foreign.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(AwsError::new(
        Kind::InUse,
        format!("destroy the network {}", parts.name),
        format!(
            "these are in it: {named}{more}; `coordinator list` shows the runs, and nothing has been taken away"
        ),
    ))
}

async fn routes(
    account: &Account,
    parts: &Parts,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), AwsError> {
    let Some(table) = &parts.routes else {
        return Ok(());
    };
    progress("route table");
    delete_routes(account, table, &parts.associated).await
}

/// A route table, off its subnets and away.
pub(super) async fn delete_routes(
    account: &Account,
    table: &str,
    associated: &[(String, String)],
) -> Result<(), AwsError> {
    for (_, association) in associated {
        let done = account
            .ec2
            .disassociate_route_table()
            .association_id(association)
            .send()
            .await;
        gone(done.map_err(|error| failed(format!("take {association} off {table}"), error)))?;
    }
    let deleted = account
        .ec2
        .delete_route_table()
        .route_table_id(table)
        .send()
        .await;
    gone(deleted.map_err(|error| failed(format!("delete {table}"), error))).map(|_| ())
}

async fn gateway(
    account: &Account,
    parts: &Parts,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), AwsError> {
    let Some(gateway) = &parts.gateway else {
        return Ok(());
    };
    progress("internet gateway");
    if let Some(vpc) = parts.vpc.as_ref().filter(|_| parts.attached) {
        let detached = account
            .ec2
            .detach_internet_gateway()
            .internet_gateway_id(gateway)
            .vpc_id(vpc)
            .send()
            .await;
        gone(detached.map_err(|error| failed(format!("detach {gateway}"), error)))?;
    }
    let deleted = account
        .ec2
        .delete_internet_gateway()
        .internet_gateway_id(gateway)
        .send()
        .await;
    gone(deleted.map_err(|error| failed(format!("delete {gateway}"), error))).map(|_| ())
}
