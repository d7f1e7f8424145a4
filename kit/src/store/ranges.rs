//! Large objects into files: several ranges at one time, since one connection to S3 is slower than a machine's network.

use std::io::SeekFrom;
use std::ops::Range;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::error::At;
use super::sums::Claim;
use super::{Store, StoreError, StoreFault};

/// Bytes of a range: so many that a request's latency does not matter.
const RANGE: u64 = 32 << 20;
/// Ranges of one object that are read at the same time.
const AT_ONCE: usize = 8;
/// Times that reading a range goes on after its connection broke.
const RESUMES: u32 = 5;

/// A version of an object: where it is, what it is, how large, and what it hashes to. And who is told of what comes.
#[derive(Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) at: At<'a>,
    pub(super) etag: &'a str,
    pub(super) size: u64,
    pub(super) claim: Option<&'a Claim>,
    pub(super) tell: &'a (dyn Fn(u64) + Sync),
}

/// A range that has come.
pub(super) struct Came {
    pub(super) size: u64,
    /// Of its bytes, where the object's checksum is a CRC.
    pub(super) crc: u64,
}

impl Store {
    /// Writes an object into a file that is made anew; `body` is that of a request for all of it.
    pub(super) async fn fill(
        &self,
        version: Version<'_>,
        part: &Path,
        body: ByteStream,
    ) -> Result<(), StoreError> {
        let at = version.at;
        let file = File::create(part).await.map_err(|e| at.file(e))?;
        let mut ranges = ranges(version.size);
        // The request that told its size is that for the first range.
        let first = ranges.next().unwrap_or(0..0);
        let first = self.range(version, part, first, Some(body));
        let others = ranges.map(|range| self.range(version, part, range, None));
        let others = futures::stream::iter(others).buffered(AT_ONCE - 1);
        let (first, others) = tokio::try_join!(first, others.try_collect::<Vec<Came>>())?;
        let came: Vec<Came> = std::iter::once(first).chain(others).collect();
        self.compare(version, &came, part).await?;
        file.sync_all().await.map_err(|e| at.file(e))
    }

    async fn range(
        &self,
        version: Version<'_>,
        part: &Path,
        range: Range<u64>,
        mut body: Option<ByteStream>,
    ) -> Result<Came, StoreError> {
        let at = version.at;
        let mut crc = version.claim.and_then(Claim::digest);
        let mut file = File::options()
            .write(true)
            .open(part)
            .await
            .map_err(|e| at.file(e))?;
        file.seek(SeekFrom::Start(range.start))
            .await
            .map_err(|e| at.file(e))?;
        let (mut next, mut resumes) = (range.start, 0);
        while next < range.end {
            let mut from = match body.take() {
                Some(body) => body,
                None => self.open_range(version, next..range.end).await?,
            };
            let mut broken = None;
            while next < range.end && broken.is_none() {
                match from.next().await {
                    Some(Ok(chunk)) => {
                        // The first request is for more than its range.
                        let wanted = usize::try_from(range.end - next).unwrap_or(usize::MAX);
                        let chunk = chunk.get(..wanted.min(chunk.len())).unwrap_or_default();
                        file.write_all(chunk).await.map_err(|e| at.file(e))?;
                        if let Some(crc) = &mut crc {
                            crc.update(chunk);
                        }
                        (version.tell)(chunk.len() as u64);
                        next += chunk.len() as u64;
                    }
                    None => broken = Some(early(at)),
                    Some(Err(error)) => broken = Some(at.broken_body(error)),
                }
            }
            match broken {
                Some(error) if resumes == RESUMES => return Err(error),
                Some(_) => resumes += 1,
                // The end of a whole object is where its checksum is compared.
                None if range == (0..version.size) => {
                    if let Some(Err(error)) = from.next().await {
                        return Err(at.broken_body(error));
                    }
                }
                None => {}
            }
        }
        file.flush().await.map_err(|e| at.file(e))?;
        Ok(Came {
            size: range.end - range.start,
            crc: crc.map_or(0, |crc| crc.finalize()),
        })
    }

    async fn open_range(&self, version: Version<'_>, range: Range<u64>) -> Result<ByteStream, StoreError> {
        let Version { at, etag, .. } = version;
        let opened = self.open_object(at, Some((range, etag))).await?;
        let opened = opened.ok_or_else(|| {
            at.fault(StoreFault::Corrupt {
                what: "it was deleted meanwhile",
            })
        })?;
        Ok(opened.body)
    }
}

fn early(at: At<'_>) -> StoreError {
    at.fault(StoreFault::Corrupt {
        what: "its body ended early",
    })
}

/// All of an object, in order.
fn ranges(size: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(RANGE)).map(move |n| n * RANGE..size.min((n + 1) * RANGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_all_of_it_and_do_not_overlap() {
        for size in [0, 1, RANGE - 1, RANGE, RANGE + 1, 10 * RANGE, 10 * RANGE + 7] {
            let all: Vec<Range<u64>> = ranges(size).collect();
            let end = all.iter().fold(0, |end, range| {
                assert_eq!(range.start, end);
                assert!(range.end > range.start && range.end - range.start <= RANGE);
                range.end
            });
            assert_eq!(end, size);
        }
    }
}
