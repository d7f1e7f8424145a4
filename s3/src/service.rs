//! The S3 trait of `s3s`: every operation that is offered, in one line each where possible. The others answer
//! `NotImplemented`, as the trait does.

use std::sync::Arc;

use hyper::StatusCode;
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketLifecycleInput,
    DeleteBucketLifecycleOutput, DeleteBucketOutput, DeleteBucketTaggingInput, DeleteBucketTaggingOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput,
    GetBucketAclInput, GetBucketAclOutput, GetBucketLifecycleConfigurationInput,
    GetBucketLifecycleConfigurationOutput, GetBucketLocationInput, GetBucketLocationOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput,
    GetObjectAclInput, GetObjectAclOutput, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectInput, GetObjectOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, Grant, Grantee, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, Permission, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectInput,
    PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput, PutPublicAccessBlockInput,
    PutPublicAccessBlockOutput, Type, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::buckets::Settings;
use crate::ops;
use crate::ops::shared::{blocking, owner};
use crate::store::{Store, custom};

/// A code that `s3s` has no name for.
const NO_ACCESS_BLOCK: &str = "NoSuchPublicAccessBlockConfiguration";

type Answer<T> = S3Result<S3Response<T>>;

/// The operations over one store.
pub(crate) struct Service {
    store: Arc<Store>,
    region: String,
}

impl Service {
    pub(crate) fn new(store: Arc<Store>, region: String) -> Self {
        Self { store, region }
    }

    async fn run<T, F>(&self, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> S3Result<T> + Send + 'static,
    {
        blocking(&self.store, work).await
    }

    async fn settings(&self, bucket: String) -> S3Result<Settings> {
        self.run(move |store| store.settings(&bucket)).await
    }

    async fn change<F>(&self, bucket: String, change: F) -> S3Result<()>
    where
        F: FnOnce(&mut Settings) + Send + 'static,
    {
        self.run(move |store| store.change_settings(&bucket, change))
            .await
    }
}

/// The one user there is.
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: SecretKey,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            return Ok(self.secret_key.clone());
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "the access key id you provided does not exist in our records"
        ))
    }
}

fn done<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

fn no_content<T>(output: T) -> Answer<T> {
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

/// The one grant there is: the owner may do everything.
fn full_control() -> Grant {
    let grantee = Grantee {
        display_name: owner().display_name,
        email_address: None,
        id: owner().id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        ops::bucket::list(&self.store, req.input).await
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let region = req.region.map(|region| region.as_str().to_owned());
        ops::bucket::create(&self.store, req.input, region.as_deref()).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        ops::bucket::head(&self.store, req.input.bucket, &self.region).await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        ops::bucket::location(&self.store, req.input.bucket, &self.region).await
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.run(move |store| store.delete_bucket(&req.input.bucket))
            .await?;
        no_content(DeleteBucketOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        self.settings(req.input.bucket).await?;
        done(GetBucketVersioningOutput::default())
    }

    async fn get_bucket_acl(&self, req: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
        self.settings(req.input.bucket).await?;
        done(GetBucketAclOutput {
            owner: Some(owner()),
            grants: Some(vec![full_control()]),
        })
    }

    async fn get_bucket_tagging(
        &self,
        req: S3Request<GetBucketTaggingInput>,
    ) -> Answer<GetBucketTaggingOutput> {
        let tag_set = self.settings(req.input.bucket).await?.tags;
        if tag_set.is_empty() {
            return Err(s3_error!(NoSuchTagSet, "the bucket has no tags"));
        }
        done(GetBucketTaggingOutput { tag_set })
    }

    async fn put_bucket_tagging(
        &self,
        req: S3Request<PutBucketTaggingInput>,
    ) -> Answer<PutBucketTaggingOutput> {
        let PutBucketTaggingInput { bucket, tagging, .. } = req.input;
        self.change(bucket, move |settings| settings.tags = tagging.tag_set)
            .await?;
        no_content(PutBucketTaggingOutput::default())
    }

    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> Answer<DeleteBucketTaggingOutput> {
        self.change(req.input.bucket, |settings| settings.tags.clear())
            .await?;
        no_content(DeleteBucketTaggingOutput::default())
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        let lifecycle = self.settings(req.input.bucket).await?.lifecycle;
        let absent = || {
            s3_error!(
                NoSuchLifecycleConfiguration,
                "the bucket has no lifecycle configuration"
            )
        };
        let rules = Some(lifecycle.ok_or_else(absent)?.rules);
        done(GetBucketLifecycleConfigurationOutput {
            rules,
            ..Default::default()
        })
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        req: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        let PutBucketLifecycleConfigurationInput {
            bucket,
            lifecycle_configuration,
            ..
        } = req.input;
        self.change(bucket, move |settings| {
            settings.lifecycle = lifecycle_configuration;
        })
        .await?;
        done(PutBucketLifecycleConfigurationOutput::default())
    }

    async fn delete_bucket_lifecycle(
        &self,
        req: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answer<DeleteBucketLifecycleOutput> {
        self.change(req.input.bucket, |settings| settings.lifecycle = None)
            .await?;
        no_content(DeleteBucketLifecycleOutput::default())
    }

    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> Answer<GetPublicAccessBlockOutput> {
        let found = self.settings(req.input.bucket).await?.public_access;
        let absent = || custom(NO_ACCESS_BLOCK, StatusCode::NOT_FOUND, "no configuration was set");
        let found = found.ok_or_else(absent)?;
        done(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(found),
        })
    }

    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> Answer<PutPublicAccessBlockOutput> {
        let PutPublicAccessBlockInput {
            bucket,
            public_access_block_configuration: wanted,
            ..
        } = req.input;
        self.change(bucket, move |settings| settings.public_access = Some(wanted))
            .await?;
        done(PutPublicAccessBlockOutput::default())
    }

    async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> Answer<DeletePublicAccessBlockOutput> {
        self.change(req.input.bucket, |settings| settings.public_access = None)
            .await?;
        no_content(DeletePublicAccessBlockOutput::default())
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        ops::list::v1(&self.store, req.input).await
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        ops::list::v2(&self.store, req.input).await
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        ops::put::put_object(&self.store, req).await
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        ops::read::get_object(&self.store, req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        ops::read::head_object(&self.store, req).await
    }

    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        ops::read::get_object_attributes(&self.store, req.input).await
    }

    async fn get_object_acl(&self, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
        let GetObjectAclInput { bucket, key, .. } = req.input;
        self.run(move |store| store.object(&bucket, &key)).await?;
        let grants = Some(vec![full_control()]);
        done(GetObjectAclOutput {
            owner: Some(owner()),
            grants,
            ..Default::default()
        })
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        ops::remove::delete_object(&self.store, req.input).await
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        ops::remove::delete_objects(&self.store, req.input).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        ops::copy::copy_object(&self.store, req.input).await
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        ops::tags::get(&self.store, req.input.bucket, req.input.key).await
    }

    async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        ops::tags::put(&self.store, req.input).await?;
        done(PutObjectTaggingOutput::default())
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        ops::tags::set(&self.store, req.input.bucket, req.input.key, Vec::new()).await?;
        no_content(DeleteObjectTaggingOutput::default())
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        ops::multipart::create(&self.store, req.input).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        ops::multipart::upload_part(&self.store, req).await
    }

    async fn upload_part_copy(&self, req: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        ops::copy::upload_part_copy(&self.store, req.input).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        ops::multipart::list_parts(&self.store, req.input).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        ops::multipart::list_uploads(&self.store, req.input).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        ops::complete::complete(&self.store, req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        ops::multipart::abort(&self.store, req.input).await?;
        no_content(AbortMultipartUploadOutput::default())
    }
}
