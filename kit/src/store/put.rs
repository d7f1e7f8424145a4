//! Writing whole objects, with or without a condition.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use bytes::Bytes;

use super::error::status;
use super::{Store, StoreError, StoreFault};

/// Tries of a conditional write that the server answers with 409 (another write of the key is under way).
const CONFLICT_TRIES: u32 = 8;
const CONFLICT_WAIT: Duration = Duration::from_millis(100);

/// Answer to a write that must be the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The object is there with these bytes; its entity tag.
    Yes(String),
    /// Another object was there before, with other bytes.
    Exists,
}

/// Answer to a write over a known version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// The object now has these bytes; its new entity tag.
    Yes(String),
    /// Somebody else changed or removed the object meanwhile.
    Conflict,
}

enum Condition<'a> {
    None,
    Absent,
    Match(&'a str),
}

enum Outcome {
    Stored(String),
    Refused,
}

impl Store {
    /// Writes an object that must not exist yet (`If-None-Match: *`). When a reply was lost and the retry finds the
    /// very bytes there, that is [`Created::Yes`].
    ///
    /// # Errors
    /// The request failed.
    pub async fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Created, StoreError> {
        Ok(match self.settle(key, bytes.into(), Condition::Absent).await? {
            Outcome::Stored(etag) => Created::Yes(etag),
            Outcome::Refused => Created::Exists,
        })
    }

    /// Writes over the version with this entity tag (`If-Match`). When a reply was lost and the retry finds the very
    /// bytes there, that is [`Replaced::Yes`].
    ///
    /// # Errors
    /// The request failed.
    pub async fn replace(
        &self,
        key: &str,
        bytes: impl Into<Bytes>,
        etag: &str,
    ) -> Result<Replaced, StoreError> {
        Ok(
            match self.settle(key, bytes.into(), Condition::Match(etag)).await? {
                Outcome::Stored(etag) => Replaced::Yes(etag),
                Outcome::Refused => Replaced::Conflict,
            },
        )
    }

    /// Writes an object, whatever was there.
    ///
    /// # Errors
    /// The request failed.
    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        self.settle(key, bytes.into(), Condition::None).await.map(|_| ())
    }

    /// Removes an object; no error when there is none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let full = self.full(key);
        let at = self.at("delete", &full);
        let sent = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(&full)
            .send()
            .await;
        sent.map(|_| ()).map_err(|e| at.sdk(e))
    }

    async fn settle(&self, key: &str, bytes: Bytes, condition: Condition<'_>) -> Result<Outcome, StoreError> {
        let full = self.full(key);
        let at = self.at("write", &full);
        for _ in 0..CONFLICT_TRIES {
            let error = match self.send_put(&full, bytes.clone(), &condition).await {
                Ok(etag) => return Ok(Outcome::Stored(etag)),
                Err(error) => error,
            };
            match (status(&error), &condition) {
                (409, Condition::Absent | Condition::Match(_)) => tokio::time::sleep(CONFLICT_WAIT).await,
                (412, Condition::Absent | Condition::Match(_)) => return self.ours(key, &bytes).await,
                (404, Condition::Match(_)) if error.code() == Some("NoSuchKey") => {
                    return Ok(Outcome::Refused);
                }
                _ => return Err(at.sdk(error)),
            }
        }
        Err(at.fault(StoreFault::Contended))
    }

    /// A retry after a lost reply is refused by our own write: the stored bytes tell.
    async fn ours(&self, key: &str, bytes: &Bytes) -> Result<Outcome, StoreError> {
        match self.get_capped(key, bytes.len() as u64).await {
            Ok(Some(stored)) if stored.bytes == *bytes => Ok(Outcome::Stored(stored.etag)),
            Ok(_) => Ok(Outcome::Refused),
            Err(e) if matches!(e.fault(), StoreFault::TooLarge { .. }) => Ok(Outcome::Refused),
            Err(e) => Err(e),
        }
    }

    async fn send_put(
        &self,
        full: &str,
        bytes: Bytes,
        condition: &Condition<'_>,
    ) -> Result<String, SdkError<PutObjectError, HttpResponse>> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(full)
            .body(bytes.into());
        let request = match condition {
            Condition::None => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Match(etag) => request.if_match(*etag),
        };
        request.send().await.map(|reply| reply.e_tag.unwrap_or_default())
    }
}
