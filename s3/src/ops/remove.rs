//! DeleteObject and DeleteObjects.

use std::sync::Arc;

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error, ObjectIdentifier,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::commit::DeleteCondition;
use crate::ops::shared::blocking;
use crate::store::Store;

/// S3 takes no more keys at once.
const KEYS_MAX: usize = 1000;

pub(crate) async fn delete_object(
    store: &Arc<Store>,
    input: DeleteObjectInput,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let condition = DeleteCondition {
        etag: input.if_match,
        size: input.if_match_size,
        modified: input.if_match_last_modified_time,
    };
    blocking(store, move |store| {
        store.delete(&input.bucket, &input.key, &condition)
    })
    .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(crate) async fn delete_objects(
    store: &Arc<Store>,
    input: DeleteObjectsInput,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > KEYS_MAX {
        return Err(s3_error!(
            MalformedXML,
            "a request to delete must name 1 to {KEYS_MAX} keys"
        ));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let bucket = input.bucket;
    let (deleted, errors) = blocking(store, move |store| {
        store.bucket(&bucket)?;
        Ok(delete_each(store, &bucket, objects))
    })
    .await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    }))
}

fn delete_each(
    store: &Store,
    bucket: &str,
    objects: Vec<ObjectIdentifier>,
) -> (Vec<DeletedObject>, Vec<Error>) {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        let condition = DeleteCondition {
            etag: object.e_tag.map(ETagCondition::ETag),
            size: object.size,
            modified: object.last_modified_time,
        };
        match store.delete(bucket, &object.key, &condition) {
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(object.key),
                version_id: None,
            }),
        }
    }
    (deleted, errors)
}
