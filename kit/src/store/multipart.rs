//! Objects in parts, and small objects whose SHA-256 the caller knows already.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::client::timeouts;
use super::error::status;
use super::{Created, Store, StoreError, StoreFault};

/// Most parts that S3 takes for one object.
pub const PART_MAX_COUNT: u64 = 10_000;
/// For one try of one part, its body included: 16 MiB at 140 KB/s.
const PART_TIMEOUT: Duration = Duration::from_secs(120);
const PART_TIMEOUT_ALL: Duration = Duration::from_secs(600);
/// Most pages of a thousand that one call of [`Store::abort_all`] works through.
const ABORT_PAGES: u32 = 100;

/// Tells the embedded store that this is no record: it need not be on the disk before a record speaks of it. S3, which
/// has everything on its disks at once, does not look at the header.
fn durable_later(request: &mut HttpRequest) {
    request.headers_mut().insert("x-mayfly-durable", "later");
}

/// Tells the embedded store that the part's tag need not be its MD5: its CRC guards it, in a tenth of the time.
fn any_etag(request: &mut HttpRequest) {
    request.headers_mut().insert("x-mayfly-etag", "any");
}

/// A multipart upload under way.
#[derive(Debug, Clone)]
pub struct Multipart {
    full: String,
    id: String,
}

/// A part that the server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: i32,
    /// As the server gave it.
    pub etag: String,
    /// CRC-32 of its bytes, in base64, as the server computed it.
    pub crc32: Option<String>,
}

impl Store {
    /// Writes a whole object whose SHA-256 (base64) is known; the server checks it. With `only_new`, an object that
    /// is there stays and the answer is [`Created::Exists`], whatever its bytes. The embedded store makes it durable no
    /// later than the next conditional write of another kind.
    ///
    /// # Errors
    /// The request failed.
    pub async fn put_checked(
        &self,
        key: &str,
        bytes: Bytes,
        sha256: &str,
        only_new: bool,
    ) -> Result<Created, StoreError> {
        let full = self.full(key);
        let at = self.at("write", &full);
        let limits =
            aws_sdk_s3::config::Builder::new().timeout_config(timeouts(PART_TIMEOUT, PART_TIMEOUT_ALL));
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&full)
            .checksum_sha256(sha256);
        let request = request
            .set_if_none_match(only_new.then(|| "*".to_owned()))
            .body(bytes.into());
        let request = request.customize().config_override(limits);
        match request.mutate_request(durable_later).send().await {
            Ok(reply) => Ok(Created::Yes(reply.e_tag.unwrap_or_default())),
            Err(e) if only_new && status(&e) == 412 => Ok(Created::Exists),
            Err(e) if only_new && status(&e) == 409 => Err(at.fault(StoreFault::Contended)),
            Err(e) => Err(at.sdk(e)),
        }
    }

    /// Begins an upload in parts.
    ///
    /// # Errors
    /// The request failed.
    pub async fn multipart(&self, key: &str) -> Result<Multipart, StoreError> {
        let full = self.full(key);
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&full);
        // Parts carry a checksum by default; without naming it here strict servers refuse to complete.
        let sent = request.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await;
        let reply = sent.map_err(|e| self.at("begin the parts of", &full).sdk(e))?;
        let id = reply.upload_id.unwrap_or_default();
        Ok(Multipart { full, id })
    }

    /// Uploads one part, numbered from 1.
    ///
    /// # Errors
    /// The request failed.
    pub async fn part(&self, upload: &Multipart, number: i32, bytes: Bytes) -> Result<Part, StoreError> {
        let limits =
            aws_sdk_s3::config::Builder::new().timeout_config(timeouts(PART_TIMEOUT, PART_TIMEOUT_ALL));
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&upload.full)
            .upload_id(&upload.id);
        let request = request
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(bytes.into());
        // The part's CRC guards its body; a second, slower digest in the signature would not guard it better.
        let request = request
            .customize()
            .disable_payload_signing()
            .mutate_request(any_etag)
            .config_override(limits);
        let sent = request.send().await;
        let reply = sent.map_err(|e| self.at("write a part of", &upload.full).sdk(e))?;
        Ok(Part {
            number,
            etag: reply.e_tag.unwrap_or_default(),
            crc32: reply.checksum_crc32,
        })
    }

    /// Makes the object of its parts. With `only_new`, an object that is there stays and the answer is
    /// [`Created::Exists`], whatever its bytes. Durable as with [`Store::put_checked`].
    ///
    /// # Errors
    /// The request failed, or the object is not there with `size` bytes afterwards.
    pub async fn complete(
        &self,
        upload: &Multipart,
        mut parts: Vec<Part>,
        size: u64,
        only_new: bool,
    ) -> Result<Created, StoreError> {
        parts.sort_by_key(|p| p.number);
        let parts = parts.into_iter().map(|p| {
            let part = CompletedPart::builder().part_number(p.number).e_tag(p.etag);
            part.set_checksum_crc32(p.crc32).build()
        });
        let whole = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.collect()))
            .build();
        let at = self.at("complete", &upload.full);
        let limits =
            aws_sdk_s3::config::Builder::new().timeout_config(timeouts(PART_TIMEOUT, PART_TIMEOUT_ALL));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&upload.full);
        let request = request.upload_id(&upload.id).multipart_upload(whole);
        let request = request.set_if_none_match(only_new.then(|| "*".to_owned()));
        let request = request.customize().config_override(limits);
        match request.mutate_request(durable_later).send().await {
            Ok(reply) => Ok(Created::Yes(reply.e_tag.unwrap_or_default())),
            Err(e) if only_new && status(&e) == 412 => Ok(Created::Exists),
            // The upload is gone when an earlier try completed it and its reply was lost: the object tells.
            Err(e) if status(&e) == 404 => self
                .completed_before(upload, size)
                .await?
                .ok_or_else(|| at.sdk(e)),
            Err(e) => Err(at.sdk(e)),
        }
    }

    async fn completed_before(&self, upload: &Multipart, size: u64) -> Result<Option<Created>, StoreError> {
        let key = upload.full.strip_prefix(&self.prefix).unwrap_or(&upload.full);
        let there = self.size(key).await? == Some(size);
        Ok(there.then(|| Created::Yes(String::new())))
    }

    /// Gives an upload up, so that the server forgets its parts.
    ///
    /// # Errors
    /// The request failed.
    pub async fn abort(&self, upload: &Multipart) -> Result<(), StoreError> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(&upload.full);
        match request.upload_id(&upload.id).send().await {
            Ok(_) => Ok(()),
            Err(e) if status(&e) == 404 => Ok(()),
            Err(e) => Err(self.at("abort the parts of", &upload.full).sdk(e)),
        }
    }

    /// Gives up every upload in parts under way below a prefix, such as an agent's that died. Returns how many.
    ///
    /// # Errors
    /// A request failed.
    pub async fn abort_all(&self, prefix: &str) -> Result<usize, StoreError> {
        let full = self.full(prefix);
        let at = self.at("list the parts below", &full);
        let mut aborted = 0;
        // What a page lists is gone from the next one, so no marker is needed.
        for _ in 0..ABORT_PAGES {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(&full);
            let page = request.send().await.map_err(|e| at.sdk(e))?;
            for upload in page.uploads.unwrap_or_default() {
                if let (Some(full), Some(id)) = (upload.key, upload.upload_id) {
                    self.abort(&Multipart { full, id }).await?;
                    aborted += 1;
                }
            }
            if page.is_truncated != Some(true) {
                break;
            }
        }
        Ok(aborted)
    }
}
