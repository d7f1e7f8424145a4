//! Putting one file into the store: whole when it is small, in parts when it is not.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mayfly_kit::store::{PART_MAX_COUNT, Store, StoreError};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Largest file that goes in one request, and smallest part, in bytes.
const PART_MIN: u64 = 16 << 20;

/// Why a file is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Uploads a file; returns its size.
///
/// # Errors
/// It cannot be read, it changes meanwhile, or the store does not take it.
pub async fn file(store: &Store, path: &Path, key: &str) -> Result<u64, UploadError> {
    let unreadable = |source| UploadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    if size <= PART_MIN {
        let bytes = read(&mut file, size).await.map_err(unreadable)?;
        store.put(key, bytes).await?;
        return Ok(size);
    }
    let upload = store.multipart(key).await?;
    let sent = async {
        let part_size = part_size(size);
        let (mut parts, mut left) = (Vec::new(), size);
        for number in 1.. {
            if left == 0 {
                break;
            }
            let bytes = read(&mut file, left.min(part_size)).await.map_err(unreadable)?;
            left -= bytes.len() as u64;
            parts.push(store.part(&upload, number, bytes).await?);
        }
        store.complete(&upload, parts, size, false).await?;
        Ok(size)
    };
    let sent: Result<u64, UploadError> = sent.await;
    if sent.is_err() {
        // The first error counts; parts that stay behind are removed by the next clean-up.
        let _ = store.abort(&upload).await;
    }
    sent
}

fn part_size(size: u64) -> u64 {
    PART_MIN.max(size.div_ceil(PART_MAX_COUNT))
}

/// Exactly so many bytes: a file that shrinks meanwhile is an error.
async fn read(file: &mut File, size: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact(&mut buffer).await?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_needs_more_parts_than_the_store_takes() {
        for size in [PART_MIN + 1, 1 << 40, 5 << 40] {
            assert!(size.div_ceil(part_size(size)) <= PART_MAX_COUNT);
        }
    }
}
