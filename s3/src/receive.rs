//! Taking in a request body: hashed as it comes, held in memory while small and in a temporary file beyond, verified
//! against everything that the client said about it. Nothing is visible to anybody until that is done.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};
use tokio::task::JoinHandle;

use crate::digest::{self, Algo, Digests, Hasher};
use crate::scratch::Temporary;
use crate::slots::Slot;
use crate::store::{Store, custom, internal};

/// How much is gathered before it goes to a blocking thread; at most twice as much is held per request.
const GATHER: usize = 256 * 1024;
/// A body that stands still for so long is given up.
const STALL: Duration = Duration::from_secs(60);
/// Hashing up to this much is cheaper than going to another thread for it.
const HASH_HERE: usize = 16 * 1024;

/// What the client said about its body.
pub(crate) struct Claims {
    /// Checksums in the headers.
    pub(crate) sums: Vec<(Algo, String)>,
    /// Algorithms to compute: those claimed, announced as trailers, or wanted by the upload.
    pub(crate) algos: Vec<Algo>,
    pub(crate) content_md5: Option<String>,
    /// Length in bytes, where it was said.
    pub(crate) length: Option<i64>,
    pub(crate) trailers: Option<TrailingHeaders>,
    /// Stands for the MD5, where nobody asks for that.
    pub(crate) tag: Option<[u8; 16]>,
}

impl Claims {
    fn check(&self, digests: &Digests) -> S3Result<()> {
        if let Some(length) = self.length
            && u64::try_from(length) != Ok(digests.size)
        {
            return Err(s3_error!(
                IncompleteBody,
                "got {} bytes of {length}",
                digests.size
            ));
        }
        if let Some(md5) = &self.content_md5
            && digest::parse_content_md5(md5)? != digests.md5
        {
            return Err(s3_error!(
                BadDigest,
                "the Content-MD5 you specified did not match what we received"
            ));
        }
        let trailed = self.trailed();
        for (algo, value) in self.sums.iter().chain(&trailed) {
            if !digest::is_well_formed(*algo, value) {
                return Err(s3_error!(
                    InvalidRequest,
                    "value for {} header is invalid",
                    algo.header()
                ));
            }
            if digests.sum(*algo).is_none_or(|sum| sum.value != *value) {
                let name = algo.name();
                return Err(s3_error!(
                    BadDigest,
                    "the {name} you specified did not match the calculated checksum"
                ));
            }
        }
        Ok(())
    }

    /// Checksums that came behind the body.
    fn trailed(&self) -> Vec<(Algo, String)> {
        let Some(trailers) = self.trailers.as_ref().and_then(TrailingHeaders::take) else {
            return Vec::new();
        };
        let value = |algo: Algo| trailers.get(algo.header())?.to_str().ok().map(str::to_owned);
        Algo::ALL
            .into_iter()
            .filter_map(|algo| Some((algo, value(algo)?)))
            .collect()
    }
}

/// What a body is written to.
pub(crate) enum Target {
    File(Temporary),
    Slot(Slot),
}

impl Target {
    fn write(&mut self, batch: &[Bytes]) -> S3Result<()> {
        let written = match self {
            Self::File(file) => {
                let mut out = file.file();
                batch.iter().try_for_each(|bytes| out.write_all(bytes))
            }
            Self::Slot(slot) => batch.iter().try_for_each(|bytes| slot.write(bytes)),
        };
        written.map_err(|error| match error.kind() {
            ErrorKind::InvalidData => s3_error!(IncompleteBody, "{error}"),
            _ => internal(error),
        })
    }
}

/// A verified body that is not visible yet.
pub(crate) struct Staged {
    pub(crate) digests: Digests,
    bytes: Vec<Bytes>,
    target: Option<Target>,
}

impl Staged {
    /// The body where it was written to: a new file unless it was told where. Blocks.
    pub(crate) fn settle(self, store: &Store) -> S3Result<Target> {
        let mut target = self.target.map_or_else(|| new_file(store), Ok)?;
        target.write(&self.bytes)?;
        Ok(target)
    }
}

fn new_file(store: &Store) -> S3Result<Target> {
    store.scratch.create().map(Target::File).map_err(internal)
}

/// What moves between the request's task and the blocking threads.
struct Sink {
    store: Arc<Store>,
    hasher: Hasher,
    target: Option<Target>,
}

impl Sink {
    /// Hashes and writes a batch.
    fn take(mut self: Box<Self>, batch: &[Bytes]) -> S3Result<Box<Self>> {
        let mut target = self.target.take().map_or_else(|| new_file(&self.store), Ok)?;
        batch.iter().for_each(|bytes| self.hasher.update(bytes));
        target.write(batch)?;
        self.target = Some(target);
        Ok(self)
    }
}

/// Receives a body whole and checks it; into a new file, unless it has its place already.
pub(crate) async fn receive(
    store: &Arc<Store>,
    body: Option<StreamingBlob>,
    claims: &Claims,
    slot: Option<Slot>,
) -> S3Result<Staged> {
    let sink = Sink {
        store: store.clone(),
        hasher: Hasher::new(&claims.algos).tagged(claims.tag),
        target: slot.map(Target::Slot),
    };
    let mut state = State::Idle(Box::new(sink));
    let mut batch = Vec::new();
    let mut gathered = 0;
    if let Some(mut body) = body {
        while let Some(bytes) = next_chunk(&mut body).await? {
            gathered += bytes.len();
            batch.push(bytes);
            if gathered >= GATHER {
                state = State::write(state.settle().await?, std::mem::take(&mut batch));
                gathered = 0;
            }
        }
    }
    let Sink { hasher, target, .. } = *state.settle().await?;
    let (hasher, batch) = hash_rest(hasher, batch, gathered).await?;
    let digests = hasher.finish();
    claims.check(&digests)?;
    Ok(Staged {
        digests,
        bytes: batch,
        target,
    })
}

/// While one batch is hashed and written, the next one is gathered.
enum State {
    Idle(Box<Sink>),
    Writing(JoinHandle<S3Result<Box<Sink>>>),
}

impl State {
    fn write(sink: Box<Sink>, batch: Vec<Bytes>) -> Self {
        Self::Writing(tokio::task::spawn_blocking(move || sink.take(&batch)))
    }

    async fn settle(self) -> S3Result<Box<Sink>> {
        match self {
            Self::Idle(sink) => Ok(sink),
            Self::Writing(task) => task.await.map_err(S3Error::internal_error)?,
        }
    }
}

async fn hash_rest(mut hasher: Hasher, batch: Vec<Bytes>, len: usize) -> S3Result<(Hasher, Vec<Bytes>)> {
    let work = move || {
        batch.iter().for_each(|bytes| hasher.update(bytes));
        (hasher, batch)
    };
    if len <= HASH_HERE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(S3Error::internal_error)
}

async fn next_chunk(body: &mut StreamingBlob) -> S3Result<Option<Bytes>> {
    let next = tokio::time::timeout(STALL, body.next()).await;
    let next =
        next.map_err(|_| s3_error!(RequestTimeout, "the body stood still for {} s", STALL.as_secs()))?;
    next.transpose().map_err(|error| body_error(&error.to_string()))
}

/// The streams that verify signatures and hashes of the body say so in text alone: their types are not public.
fn body_error(text: &str) -> S3Error {
    if text.contains("Sha256Mismatch") {
        return custom(
            "XAmzContentSHA256Mismatch",
            StatusCode::BAD_REQUEST,
            "the provided x-amz-content-sha256 header does not match what was computed",
        );
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "the signature of a chunk does not match");
    }
    S3Error::with_message(
        s3s::S3ErrorCode::IncompleteBody,
        format!("the body ended early: {text}"),
    )
}
