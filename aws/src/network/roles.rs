//! The roles of a network: what a machine of a run may do, and what a job on it may.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_iam::types::Tag;

use super::thing;
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};

/// Names of the one policy inside each role.
const OF_NODES: &str = "mayfly-node";
const OF_JOBS: &str = "mayfly-job";
/// Longest session of a role that a role takes (IAM user guide, "Role chaining"), in seconds.
const SESSION_SECS: i32 = 3_600;
/// A new profile is known to EC2 after a while.
const SETTLE: Duration = Duration::from_secs(10);

/// Policies as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Who may take the role: EC2.
    pub trust: String,
    /// What a node may do.
    pub node: String,
    /// Who may take the role of jobs: a node, for its run.
    pub job_trust: String,
    /// What a job may do.
    pub job: String,
}

/// Name of the role and of the instance profile of a network's nodes.
#[must_use]
pub fn node_role(network: &str) -> String {
    thing(network, "node")
}

/// Name of the role that jobs of a network's runs get sessions of.
#[must_use]
pub(super) fn job_role(network: &str) -> String {
    thing(network, "job")
}

fn iam_tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, AwsError> {
    let made = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    made.collect::<Result<_, _>>()
        .map_err(|error| AwsError::new(Kind::Invalid, "tag the role of the nodes", error.to_string()))
}

fn unless_exists<T>(result: Result<T, AwsError>) -> Result<bool, AwsError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::Exists => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a role is.
pub(crate) struct Role<'a> {
    /// Its name.
    pub(crate) name: String,
    /// What it is for, in words.
    pub(crate) what: &'a str,
    /// Who may take it, as JSON.
    pub(crate) trust: &'a str,
    /// The policies inside it: their names, and what they say.
    pub(crate) policies: &'a [(&'a str, &'a str)],
}

/// Makes a role, or brings it to what it shall be.
pub(crate) async fn ensure_role(
    account: &Account,
    role: &Role<'_>,
    tags: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let name = &role.name;
    let made = account
        .iam
        .create_role()
        .role_name(name)
        .description(role.what)
        .assume_role_policy_document(role.trust)
        .max_session_duration(SESSION_SECS)
        .set_tags(Some(iam_tags(tags)?))
        .send()
        .await;
    unless_exists(made.map_err(|error| failed(format!("make the role {name}"), error)))?;
    for (policy, document) in role.policies {
        let put = account
            .iam
            .put_role_policy()
            .role_name(name)
            .policy_name(*policy)
            .policy_document(*document)
            .send()
            .await;
        put.map_err(|error| failed(format!("write the policy {policy} of the role {name}"), error))?;
    }
    Ok(())
}

/// Makes roles and profile, or brings them to what they shall be.
pub(super) async fn ensure_roles(
    account: &Account,
    network: &str,
    tags: &BTreeMap<String, String>,
    policies: &Policies,
) -> Result<(), AwsError> {
    let of_nodes = Role {
        name: node_role(network),
        what: "Mayfly: what the machines of a run may do",
        trust: &policies.trust,
        policies: &[(OF_NODES, &policies.node)],
    };
    ensure_role(account, &of_nodes, tags).await?;
    let of_jobs = Role {
        name: job_role(network),
        what: "Mayfly: what the job of a run may do",
        trust: &policies.job_trust,
        policies: &[(OF_JOBS, &policies.job)],
    };
    ensure_role(account, &of_jobs, tags).await?;
    ensure_profile(account, &of_nodes.name, tags).await
}

/// Makes the instance profile that has the name of a role and holds it, or finds it. A new one is waited for: EC2 hears of
/// it after a while.
pub(crate) async fn ensure_profile(
    account: &Account,
    role: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let made = account
        .iam
        .create_instance_profile()
        .instance_profile_name(role)
        .set_tags(Some(iam_tags(tags)?))
        .send()
        .await;
    let fresh =
        unless_exists(made.map_err(|error| failed(format!("make the instance profile {role}"), error)))?;
    let added = account
        .iam
        .add_role_to_instance_profile()
        .instance_profile_name(role)
        .role_name(role)
        .send()
        .await;
    match added.map_err(|error| failed(format!("put the role {role} into its profile"), error)) {
        // A profile holds one role: ours is in it.
        Err(error) if error.code() == Some("LimitExceeded") || error.kind() == Kind::Quota => {}
        other => {
            other?;
        }
    }
    if fresh {
        tokio::time::sleep(SETTLE).await;
    }
    Ok(())
}

/// Takes roles and profile away.
pub(super) async fn delete_roles(account: &Account, network: &str) -> Result<(), AwsError> {
    let role = node_role(network);
    delete_profile(account, &role).await?;
    delete_role(account, &job_role(network), &[OF_JOBS]).await?;
    delete_role(account, &role, &[OF_NODES]).await
}

/// Takes the instance profile of a role away.
pub(crate) async fn delete_profile(account: &Account, role: &str) -> Result<(), AwsError> {
    let removed = account
        .iam
        .remove_role_from_instance_profile()
        .instance_profile_name(role)
        .role_name(role)
        .send()
        .await;
    gone(removed.map_err(|error| failed(format!("take the role {role} out of its profile"), error)))?;
    let deleted = account
        .iam
        .delete_instance_profile()
        .instance_profile_name(role)
        .send()
        .await;
    gone(deleted.map_err(|error| failed(format!("delete the instance profile {role}"), error)))?;
    Ok(())
}

/// Takes a role away, and these policies inside it.
pub(crate) async fn delete_role(account: &Account, role: &str, policies: &[&str]) -> Result<(), AwsError> {
    for policy in policies {
        let asked = account
            .iam
            .delete_role_policy()
            .role_name(role)
            .policy_name(*policy);
        let deleted = asked.send().await;
        gone(
            deleted.map_err(|error| failed(format!("delete the policy {policy} of the role {role}"), error)),
        )?;
    }
    let deleted = account.iam.delete_role().role_name(role).send().await;
    gone(deleted.map_err(|error| failed(format!("delete the role {role}"), error)))?;
    Ok(())
}
