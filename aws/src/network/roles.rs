//! The role of the nodes: what a machine of a run may do.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_iam::types::Tag;

use super::thing;
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};

/// Name of the one policy inside the role.
const POLICY: &str = "mayfly-node";
/// A new profile is known to EC2 after a while.
const SETTLE: Duration = Duration::from_secs(10);

/// Policies as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Who may take the role: EC2.
    pub trust: String,
    /// What a node may do.
    pub node: String,
}

/// Name of the role and of the instance profile of a network's nodes.
#[must_use]
pub fn node_role(network: &str) -> String {
    thing(network, "node")
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

/// Makes role and profile, or brings them to what they shall be.
pub(super) async fn ensure_role(
    account: &Account,
    network: &str,
    tags: &BTreeMap<String, String>,
    policies: &Policies,
) -> Result<(), AwsError> {
    let role = node_role(network);
    let tags = iam_tags(tags)?;
    let made = account
        .iam
        .create_role()
        .role_name(&role)
        .description("Mayfly: what the machines of a run may do")
        .assume_role_policy_document(&policies.trust)
        .set_tags(Some(tags.clone()))
        .send()
        .await;
    unless_exists(made.map_err(|error| failed(format!("make the role {role}"), error)))?;
    let put = account
        .iam
        .put_role_policy()
        .role_name(&role)
        .policy_name(POLICY)
        .policy_document(&policies.node)
        .send()
        .await;
    put.map_err(|error| failed(format!("write the policy of the role {role}"), error))?;
    let made = account
        .iam
        .create_instance_profile()
        .instance_profile_name(&role)
        .set_tags(Some(tags))
        .send()
        .await;
    let fresh =
        unless_exists(made.map_err(|error| failed(format!("make the instance profile {role}"), error)))?;
    let added = account
        .iam
        .add_role_to_instance_profile()
        .instance_profile_name(&role)
        .role_name(&role)
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

/// Takes role and profile away.
pub(super) async fn delete_role(account: &Account, network: &str) -> Result<(), AwsError> {
    let role = node_role(network);
    let removed = account
        .iam
        .remove_role_from_instance_profile()
        .instance_profile_name(&role)
        .role_name(&role)
        .send()
        .await;
    gone(removed.map_err(|error| failed(format!("take the role {role} out of its profile"), error)))?;
    let deleted = account
        .iam
        .delete_instance_profile()
        .instance_profile_name(&role)
        .send()
        .await;
    gone(deleted.map_err(|error| failed(format!("delete the instance profile {role}"), error)))?;
    let deleted = account
        .iam
        .delete_role_policy()
        .role_name(&role)
        .policy_name(POLICY)
        .send()
        .await;
    gone(deleted.map_err(|error| failed(format!("delete the policy of the role {role}"), error)))?;
    let deleted = account.iam.delete_role().role_name(&role).send().await;
    gone(deleted.map_err(|error| failed(format!("delete the role {role}"), error)))?;
    Ok(())
}
