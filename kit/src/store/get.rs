//! Reading: whole small objects, and large ones into files.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::Stream;
use sha2::{Digest as _, Sha256};

use super::error::{At, status};
use super::ranges::Version;
use super::sums::Claim;
use super::{GET_MAX_BYTES, Store, StoreError, StoreFault};

/// Times a download goes on after its connection broke.
const RESUMES: u32 = 5;

/// A whole object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its entity tag, for [`Store::replace`].
    pub etag: String,
}

/// An answer whose body is still to come.
pub(super) struct Opened {
    pub(super) body: ByteStream,
    etag: String,
    /// Of the body, in bytes.
    size: u64,
    /// Of the whole object; nothing is said of a range.
    claim: Option<Claim>,
}

impl Store {
    /// Reads an object of at most [`GET_MAX_BYTES`]; `None` when there is none.
    ///
    /// # Errors
    /// The request failed, or the object is larger.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.get_capped(key, GET_MAX_BYTES).await
    }

    /// Reads an object of at most `max` bytes; `None` when there is none.
    ///
    /// # Errors
    /// The request failed, or the object is larger.
    pub async fn get_capped(&self, key: &str, max: u64) -> Result<Option<Object>, StoreError> {
        let full = self.full(key);
        let at = self.at("read", &full);
        let mut tries = 0;
        loop {
            let Some(Opened { body, etag, size, .. }) = self.open_object(at, None).await? else {
                return Ok(None);
            };
            if size > max {
                return Err(at.fault(StoreFault::TooLarge { size, max }));
            }
            match body.collect().await {
                Ok(body) => {
                    return Ok(Some(Object {
                        bytes: body.into_bytes(),
                        etag,
                    }));
                }
                Err(_) if tries < RESUMES => tries += 1,
                Err(e) => return Err(at.broken_body(e)),
            }
        }
    }

    /// The first bytes of an object, at most `max`, and its whole size; `None` when there is none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn head(&self, key: &str, max: usize) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let full = self.full(key);
        let at = self.at("read", &full);
        let Some(Opened { mut body, size, .. }) = self.open_object(at, None).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while bytes.len() < max
            && let Some(chunk) = body.next().await
        {
            bytes.extend_from_slice(&chunk.map_err(|e| at.broken_body(e))?);
        }
        bytes.truncate(max);
        Ok(Some((bytes, size)))
    }

    /// An object of any size, piece by piece, and its size; `None` when there is none. A connection that breaks ends it
    /// with an error.
    ///
    /// # Errors
    /// The request failed.
    pub async fn pieces(
        &self,
        key: &str,
    ) -> Result<Option<(impl Stream<Item = std::io::Result<Bytes>> + Send + use<>, u64)>, StoreError> {
        let full = self.full(key);
        let at = self.at("read", &full);
        let Some(Opened { body, size, .. }) = self.open_object(at, None).await? else {
            return Ok(None);
        };
        let pieces = futures::stream::unfold(body, async |mut body| {
            let piece = body.next().await?;
            Some((piece.map_err(std::io::Error::other), body))
        });
        Ok(Some((pieces, size)))
    }

    /// Size of an object in bytes; `None` when there is none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let full = self.full(key);
        let at = self.at("look at", &full);
        match self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&full)
            .send()
            .await
        {
            Ok(reply) => Ok(Some(length(reply.content_length()))),
            // A HEAD has no body, so a missing bucket and a missing key look the same.
            Err(e) if status(&e) == 404 => Ok(None),
            Err(e) => Err(at.sdk(e)),
        }
    }

    /// Reads an object of any size into `path`, which then holds it whole; a large one in several ranges at a time. Goes on
    /// where a broken connection left off. What came is what the store's own checksum of the object says, where it has one
    /// of CRC or SHA-256. Returns its size in bytes, or `None` when there is no such object (then `path` is not touched).
    ///
    /// # Errors
    /// The request failed for good, the object changed meanwhile or is damaged, or the file cannot be written.
    pub async fn get_to_file(&self, key: &str, path: &Path) -> Result<Option<u64>, StoreError> {
        self.get_to_file_telling(key, path, &|_| {}).await
    }

    /// The same; `tell` is told of each piece that has been written, how many bytes it has.
    ///
    /// # Errors
    /// As [`Store::get_to_file`].
    pub async fn get_to_file_telling(
        &self,
        key: &str,
        path: &Path,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<u64>, StoreError> {
        let full = self.full(key);
        let at = self.at("read", &full);
        let Some(opened) = self.open_object(at, None).await? else {
            return Ok(None);
        };
        let part = Unfinished::beside(path);
        let version = Version {
            at,
            etag: &opened.etag,
            size: opened.size,
            claim: opened.claim.as_ref(),
            tell,
        };
        self.fill(version, &part.0, opened.body).await?;
        tokio::fs::rename(&part.0, path).await.map_err(|e| at.file(e))?;
        Ok(Some(opened.size))
    }

    /// SHA-256 (hex) and size in bytes of an object, computed from its bytes; `None` when there is none.
    ///
    /// # Errors
    /// The request failed, or the connection kept breaking.
    pub async fn digest(&self, key: &str) -> Result<Option<(String, u64)>, StoreError> {
        let full = self.full(key);
        let at = self.at("read", &full);
        let Some(Opened { mut body, size, .. }) = self.open_object(at, None).await? else {
            return Ok(None);
        };
        let mut hash = Sha256::new();
        while let Some(chunk) = body.next().await {
            hash.update(chunk.map_err(|e| at.broken_body(e))?);
        }
        Ok(Some((format!("{:x}", hash.finalize()), size)))
    }

    /// Opens an object, or a range of a known version of it.
    pub(super) async fn open_object(
        &self,
        at: At<'_>,
        range: Option<(Range<u64>, &str)>,
    ) -> Result<Option<Opened>, StoreError> {
        let mut request = self.client.get_object().bucket(&self.bucket).key(at.key);
        if let Some((range, etag)) = range {
            let last = range.end.saturating_sub(1);
            request = request
                .range(format!("bytes={}-{last}", range.start))
                .if_match(etag);
        }
        match request.send().await {
            Ok(reply) => Ok(Some(Opened {
                size: length(reply.content_length()),
                claim: Claim::of(&reply),
                etag: reply.e_tag.unwrap_or_default(),
                body: reply.body,
            })),
            Err(e) if matches!(e.as_service_error(), Some(GetObjectError::NoSuchKey(_))) => Ok(None),
            Err(e) if status(&e) == 412 => Err(at.changed()),
            Err(e) => Err(at.sdk(e)),
        }
    }
}

/// A file that is being written; when this is dropped nothing of it is left under that name, also where nobody waits for
/// the download any more.
struct Unfinished(PathBuf);

impl Unfinished {
    /// Beside `path`, under a name that no other object is read into: a hash of this one and of a number of its own.
    fn beside(path: &Path) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut hash = Sha256::new();
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(std::process::id().to_le_bytes());
        hash.update(NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Self(path.with_file_name(format!(".{:x}.part", hash.finalize())))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Mostly it has got its own name by now.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) fn length(header: Option<i64>) -> u64 {
    header.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}
