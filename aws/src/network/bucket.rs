//! The bucket that runs are kept in: private, encrypted, and without what uploads that died have left.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};

use crate::Account;
use crate::error::{AwsError, Kind, failed};

/// The region whose buckets have no location (Amazon S3 API reference, CreateBucket).
const NOWHERE: &str = "us-east-1";
/// Days after which an upload that nobody finished is paid for no more.
const ABORT_DAYS: i32 = 1;

fn client(account: &Account) -> aws_sdk_s3::Client {
    let config = account.config();
    let custom = config.endpoint_url().is_some();
    aws_sdk_s3::Client::from_conf(Builder::from(config).force_path_style(custom).build())
}

fn wrong(error: impl ToString) -> AwsError {
    AwsError::new(Kind::Invalid, "set up the bucket", error.to_string())
}

/// Makes the bucket, or brings one of this account to what it shall be. `policy` is the bucket's own, as JSON.
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
        .lifecycle_configuration(lifecycle()?);
    put.send()
        .await
        .map_err(|error| failed(format!("write the lifecycle of the bucket {bucket}"), error))?;
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

fn lifecycle() -> Result<BucketLifecycleConfiguration, AwsError> {
    let abort = AbortIncompleteMultipartUpload::builder()
        .days_after_initiation(ABORT_DAYS)
        .build();
    let rule = LifecycleRule::builder()
        .id("mayfly-abort-uploads")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort)
        .build()
        .map_err(wrong)?;
    BucketLifecycleConfiguration::builder()
        .rules(rule)
        .build()
        .map_err(wrong)
}
