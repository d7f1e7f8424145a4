//! Buckets and their settings.

use std::sync::Arc;

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, GetBucketLocationOutput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::conditions::whole_second;
use crate::ops::shared::{blocking, owner};
use crate::page::{from_token, to_token};
use crate::store::Store;
use crate::walk::After;

/// The region that has no name in a location constraint.
const UNNAMED_REGION: &str = "us-east-1";

pub(crate) async fn create(
    store: &Arc<Store>,
    input: CreateBucketInput,
    client_region: Option<&str>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let configuration = input.create_bucket_configuration;
    let location = configuration
        .and_then(|one| one.location_constraint)
        .map(|one| one.as_str().to_owned());
    let location = location.filter(|location| !location.is_empty());
    if let (Some(location), Some(region)) = (&location, client_region)
        && region != UNNAMED_REGION
        && location != region
    {
        return Err(s3_error!(
            IllegalLocationConstraintException,
            "the location constraint {location} is incompatible with the region {region} of the request"
        ));
    }
    let bucket = input.bucket;
    let path = format!("/{bucket}");
    blocking(store, move |store| store.create_bucket(&bucket, location)).await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(path) }))
}

pub(crate) async fn head(
    store: &Arc<Store>,
    bucket: String,
    region: &str,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let settings = blocking(store, move |store| store.settings(&bucket)).await?;
    let region = settings.location.unwrap_or_else(|| region.to_owned());
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(region),
        ..HeadBucketOutput::default()
    }))
}

pub(crate) async fn location(
    store: &Arc<Store>,
    bucket: String,
    region: &str,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let settings = blocking(store, move |store| store.settings(&bucket)).await?;
    let location = settings.location.unwrap_or_else(|| region.to_owned());
    let location_constraint = (location != UNNAMED_REGION).then(|| BucketLocationConstraint::from(location));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

pub(crate) async fn list(
    store: &Arc<Store>,
    input: ListBucketsInput,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let after = input
        .continuation_token
        .as_deref()
        .map_or(Ok(After::Start), from_token)?;
    let max = usize::try_from(input.max_buckets.unwrap_or(i32::MAX))
        .unwrap_or(0)
        .max(1);
    let prefix = input.prefix.clone().unwrap_or_default();
    let mut found = blocking(store, Store::list_buckets).await?;
    found.retain(|(name, _)| name.starts_with(&prefix) && after.admits(name));
    let truncated = found.len() > max;
    found.truncate(max);
    let last = found
        .last()
        .filter(|_| truncated)
        .map(|(name, _)| After::Key(name.clone()));
    let bucket = |(name, created_secs)| Bucket {
        name: Some(name),
        creation_date: Some(whole_second(created_secs)),
        ..Bucket::default()
    };
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(found.into_iter().map(bucket).collect()),
        continuation_token: last.as_ref().and_then(to_token),
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}
