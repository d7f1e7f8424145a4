//! What somebody else may do, as far as IAM tells it beforehand.

use aws_sdk_iam::types::PolicyEvaluationDecisionType;

use crate::Account;
use crate::error::{AwsError, failed};

/// Those of `actions` on `resource` that a role may not do by its own policies. What a bucket's policy or an organisation
/// says besides is not asked.
///
/// # Errors
/// The caller may not ask that, or AWS does not answer.
pub async fn denied(
    account: &Account,
    role: &str,
    resource: &str,
    actions: &[&str],
) -> Result<Vec<String>, AwsError> {
    let asked = account
        .iam
        .simulate_principal_policy()
        .policy_source_arn(role)
        .resource_arns(resource)
        .set_action_names(Some(actions.iter().map(|action| (*action).to_owned()).collect()));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(format!("ask what {role} may do"), error))?;
    let results = answer.evaluation_results.unwrap_or_default();
    let refused = results
        .into_iter()
        .filter(|result| *result.eval_decision() != PolicyEvaluationDecisionType::Allowed);
    Ok(refused.map(|result| result.eval_action_name).collect())
}
