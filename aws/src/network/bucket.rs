//! The bucket that runs are kept in: private, encrypted, and without what uploads that died have left.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};

use serde_json::Value;

use crate::Account;
use crate::error::{AwsError, Kind, failed};

/// The region whose buckets have no location (Amazon S3 API reference, CreateBucket).
const NOWHERE: &str = "us-east-1";
/// Days after which an upload that nobody finished is paid for no more.
const ABORT_DAYS: i32 = 1;
/// The rule that says so.
const ABORT: &str = "mayfly-abort-uploads";

fn client(account: &Account) -> aws_sdk_s3::Client {
    let config = account.config();
    let custom = config.endpoint_url().is_some();
    aws_sdk_s3::Client::from_conf(Builder::from(config).force_path_style(custom).build())
}

fn wrong(error: impl ToString) -> AwsError {
    AwsError::new(Kind::Invalid, "set up the bucket", error.to_string())
}

/// Makes the bucket, or brings one of this account to what it shall be: rules and statements of others stay. `policy` is what
/// its own shall say, as JSON.
///
/// # Errors
/// The name is taken by somebody else, or AWS refuses or does not answer; the next call goes on.
pub async fn ensure_bucket(account: &Account, bucket: &str, policy: &str) -> Result<(), AwsError> {
    let s3 = client(account);
    make(account, &s3, bucket).await?;
    let private = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .block_public_policy(true)
        .ignore_public_acls(true)
        .restrict_public_buckets(true)
        .build();
    let put = s3
        .put_public_access_block()
        .bucket(bucket)
        .public_access_block_configuration(private);
    put.send()
        .await
        .map_err(|error| failed(format!("make the bucket {bucket} private"), error))?;
    let put = s3
        .put_bucket_encryption()
        .bucket(bucket)
        .server_side_encryption_configuration(encryption()?);
    put.send()
        .await
        .map_err(|error| failed(format!("encrypt the bucket {bucket}"), error))?;
    let put = s3
        .put_bucket_lifecycle_configuration()
        .bucket(bucket)
        .lifecycle_configuration(lifecycle(rules(&s3, bucket).await?)?);
    put.send()
        .await
        .map_err(|error| failed(format!("write the lifecycle of the bucket {bucket}"), error))?;
    let policy = merged(&said_before(&s3, bucket).await?, policy)?;
    let put = s3.put_bucket_policy().bucket(bucket).policy(policy);
    put.send()
        .await
        .map_err(|error| failed(format!("write the policy of the bucket {bucket}"), error))?;
    Ok(())
}

async fn make(account: &Account, s3: &aws_sdk_s3::Client, bucket: &str) -> Result<(), AwsError> {
    let place = (account.region() != NOWHERE).then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(account.region()))
            .build()
    });
    let made = s3
        .create_bucket()
        .bucket(bucket)
        .set_create_bucket_configuration(place)
        .send()
        .await;
    match made.map_err(|error| failed(format!("make the bucket {bucket}"), error)) {
        Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
        other => other.map(|_| ()),
    }
}

fn encryption() -> Result<ServerSideEncryptionConfiguration, AwsError> {
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::Aes256)
        .build()
        .map_err(wrong)?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default);
    ServerSideEncryptionConfiguration::builder()
        .rules(rule.build())
        .build()
        .map_err(wrong)
}

/// What others say in its lifecycle.
async fn rules(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<Vec<LifecycleRule>, AwsError> {
    let answer = s3
        .get_bucket_lifecycle_configuration()
        .bucket(bucket)
        .send()
        .await;
    let answer = answer.map_err(|error| failed(format!("read the lifecycle of the bucket {bucket}"), error));
    let mut rules = match answer {
        Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => return Ok(Vec::new()),
        other => other?.rules.unwrap_or_default(),
    };
    rules.retain(|rule| rule.id() != Some(ABORT));
    Ok(rules)
}

/// The policy that it has: a document without a statement where there is none.
async fn said_before(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<String, AwsError> {
    let answer = s3.get_bucket_policy().bucket(bucket).send().await;
    let answer = answer.map_err(|error| failed(format!("read the policy of the bucket {bucket}"), error));
    let said = match answer {
        Err(error) if error.code() == Some("NoSuchBucketPolicy") => None,
        other => other?.policy,
    };
    Ok(said.unwrap_or_else(|| "{}".to_owned()))
}

/// Statements of `before` that have not the name of one of `own`, and those of `own`.
fn merged(before: &str, own: &str) -> Result<String, AwsError> {
    let parsed = |text| serde_json::from_str::<Value>(text).map_err(wrong);
    let (before, mut own) = (parsed(before)?, parsed(own)?);
    let listed = |policy: &Value| match &policy["Statement"] {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let ours = listed(&own);
    let is_ours = |one: &Value| ours.iter().any(|own| own["Sid"] == one["Sid"]);
    let mut all = listed(&before);
    all.retain(|one| !is_ours(one));
    all.extend(ours.iter().cloned());
    match own.as_object_mut() {
        Some(policy) => policy.insert("Statement".to_owned(), Value::Array(all)),
        None => return Err(wrong("our own policy is no document")),
    };
    Ok(own.to_string())
}

fn lifecycle(others: Vec<LifecycleRule>) -> Result<BucketLifecycleConfiguration, AwsError> {
    let abort = AbortIncompleteMultipartUpload::builder()
        .days_after_initiation(ABORT_DAYS)
        .build();
    let rule = LifecycleRule::builder()
        .id(ABORT)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort)
        .build()
        .map_err(wrong)?;
    BucketLifecycleConfiguration::builder()
        .set_rules(Some(others))
        .rules(rule)
        .build()
        .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statements_of_others_stay_and_ours_are_there_once() {
        let statement = |sid: &str, effect: &str| json!({ "Sid": sid, "Effect": effect });
        let own = json!({ "Version": "2012-10-17", "Statement": [statement("Ours", "Deny")] }).to_string();
        let merge = |before: Value| -> Value {
            serde_json::from_str(&merged(&before.to_string(), &own).unwrap()).unwrap()
        };
        let theirs = json!({ "Effect": "Allow", "Principal": "*" });
        for before in [
            json!({ "Statement": [theirs, statement("Ours", "Allow")] }),
            json!({ "Version": "2012-10-17", "Statement": theirs }),
        ] {
            let once = merge(before);
            assert_eq!(once["Statement"], json!([theirs, statement("Ours", "Deny")]));
            assert_eq!(merge(once.clone()), once);
        }
        assert_eq!(merge(json!({}))["Statement"], json!([statement("Ours", "Deny")]));
        assert!(merged("no policy", &own).is_err());
    }
}
