//! Files that do not fit into one small read: whole up to a size, in parts above it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::records::FileEntry;
use mayfly_kit::store::{Created, Multipart, PART_MAX_COUNT, Part};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::walk::{Large, Mark};
use super::{LARGE_KIB_MAX, Shared, Target, UploadError};

/// Smallest part; a file no larger than this goes in one request.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Times a file is read when it changes meanwhile.
const READS: u32 = 2;

/// One part in memory, and its share of the bytes that may be there.
struct Chunk {
    number: i32,
    bytes: Bytes,
    permit: OwnedSemaphorePermit,
}

/// What the reader knows when it is through; `None` when the file changed meanwhile.
type Read = io::Result<Option<FileEntry>>;

/// Parts grow with the file, so that there are never more than S3 takes.
fn part_size(size: u64) -> u64 {
    size.div_ceil(PART_MAX_COUNT)
        .next_multiple_of(1024 * 1024)
        .max(PART_BYTES)
}

impl Shared {
    pub(super) async fn large(&self, file: Large) -> Result<FileEntry, UploadError> {
        let file = Arc::new(file);
        for _ in 0..READS {
            if let Some(entry) = self.once(&file).await? {
                self.stored(entry.size);
                return Ok(entry);
            }
        }
        Err(UploadError::Changed {
            path: file.path.clone(),
        })
    }

    async fn once(&self, file: &Arc<Large>) -> Result<Option<FileEntry>, UploadError> {
        if file.size <= PART_BYTES {
            self.whole(file).await
        } else {
            self.parts(file).await
        }
    }

    /// In one request.
    async fn whole(&self, file: &Arc<Large>) -> Result<Option<FileEntry>, UploadError> {
        let (chunks, mut ready) = mpsc::channel(1);
        let reading = self.reader(file, chunks);
        let Some(chunk) = ready.recv().await else {
            return reading.await?.map_err(|e| unread(file, e));
        };
        let Some(entry) = reading.await?.map_err(|e| unread(file, e))? else {
            return Ok(None);
        };
        let key = self.key(&entry.path);
        let sum = BASE64.encode(&HEXLOWER.decode(entry.sha256.as_bytes()).unwrap_or_default());
        let put = || {
            self.target
                .store
                .put_checked(&key, chunk.bytes.clone(), &sum, self.target.only_new)
        };
        if self.patiently(&entry.path, put).await? == Created::Exists {
            self.same(&key, &entry).await?;
        }
        drop(chunk.permit);
        Ok(Some(entry))
    }

    /// In parts, given up on the server when anything fails for good.
    async fn parts(&self, file: &Arc<Large>) -> Result<Option<FileEntry>, UploadError> {
        let key = self.key(&file.path);
        let upload = self
            .patiently(&file.path, || self.target.store.multipart(&key))
            .await?;
        let sent = self.send_parts(file, &upload, &key).await;
        if !matches!(sent, Ok(Some(_)))
            && let Err(error) = self.target.store.abort(&upload).await
        {
            tracing::warn!(
                path = file.path,
                error = &error as &dyn std::error::Error,
                "parts stay in the store"
            );
        }
        sent
    }

    async fn send_parts(
        &self,
        file: &Arc<Large>,
        upload: &Multipart,
        key: &str,
    ) -> Result<Option<FileEntry>, UploadError> {
        let (chunks, mut ready) = mpsc::channel(1);
        let reading = self.reader(file, chunks);
        let (mut tasks, mut parts) = (JoinSet::new(), Vec::new());
        while let Some(chunk) = ready.recv().await {
            let shared = self.again();
            let (upload, path) = (upload.clone(), file.path.clone());
            tasks.spawn(async move { shared.part(&upload, chunk, &path).await });
            while let Some(part) = tasks.try_join_next() {
                parts.push(part??);
            }
        }
        while let Some(part) = tasks.join_next().await {
            parts.push(part??);
        }
        let Some(entry) = reading.await?.map_err(|e| unread(file, e))? else {
            return Ok(None);
        };
        let complete = || {
            let Target { store, only_new, .. } = &self.target;
            let complete = store.complete(upload, parts.clone(), entry.size, *only_new);
            crash::around(Point::PartsComplete, complete)
        };
        if self.patiently(&entry.path, complete).await? == Created::Exists {
            self.same(key, &entry).await?;
            // The parts are not needed: the very object is there.
            let given_up = self.target.store.abort(upload).await;
            given_up.map_err(|source| UploadError::Store {
                path: entry.path.clone(),
                source,
            })?;
        }
        Ok(Some(entry))
    }

    async fn part(&self, upload: &Multipart, chunk: Chunk, path: &str) -> Result<Part, UploadError> {
        let Chunk {
            number,
            bytes,
            permit,
        } = chunk;
        let part = self
            .patiently(path, || {
                let put = self.target.store.part(upload, number, bytes.clone());
                crash::around(Point::PartPut, put)
            })
            .await?;
        drop(bytes);
        drop(permit);
        Ok(part)
    }

    fn again(&self) -> Self {
        Self {
            target: self.target.clone(),
            progress: self.progress.clone(),
            memory: Arc::clone(&self.memory),
        }
    }

    /// Reads and hashes in order, on a thread of its own; waits while too many bytes are in memory.
    fn reader(&self, file: &Arc<Large>, chunks: mpsc::Sender<Chunk>) -> tokio::task::JoinHandle<Read> {
        let (file, memory) = (Arc::clone(file), Arc::clone(&self.memory));
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let opened = file.open()?;
            let (before, size) = Mark::of(&opened)?;
            let (step, mut hash, mut offset) = (part_size(size), Sha256::new(), 0u64);
            for number in 1.. {
                let length = step.min(size - offset);
                let kib = usize::try_from(length.div_ceil(1024))
                    .unwrap_or(LARGE_KIB_MAX)
                    .min(LARGE_KIB_MAX);
                let permits = u32::try_from(kib).unwrap_or(u32::MAX);
                let permit = runtime.block_on(Arc::clone(&memory).acquire_many_owned(permits));
                let Some(bytes) = read_at(&opened, offset, length)? else {
                    return Ok(None);
                };
                hash.update(&bytes);
                let chunk = Chunk {
                    number,
                    bytes,
                    permit: permit.map_err(io::Error::other)?,
                };
                if chunks.blocking_send(chunk).is_err() {
                    return Ok(None);
                }
                offset += length;
                if offset >= size {
                    break;
                }
            }
            let entry = FileEntry {
                path: file.path.clone(),
                size,
                sha256: HEXLOWER.encode(&hash.finalize()),
            };
            Ok((Mark::of(&opened)?.0 == before).then_some(entry))
        })
    }
}

/// `None` when the file is shorter than it was.
fn read_at(file: &File, offset: u64, length: u64) -> io::Result<Option<Bytes>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes.into())),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

fn unread(file: &Large, source: io::Error) -> UploadError {
    UploadError::Read {
        path: file.path.clone().into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_outnumber_what_s3_takes() {
        for size in [
            1,
            PART_BYTES,
            PART_BYTES + 1,
            50 << 30,
            5 << 40,
            80_000 * 1024 * 1024 + 1,
        ] {
            let part = part_size(size);
            assert!(size.div_ceil(part) <= PART_MAX_COUNT, "{size}");
            assert!(part >= PART_BYTES);
        }
    }
}
