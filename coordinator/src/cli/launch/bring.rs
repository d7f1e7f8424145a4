//! Bringing the code of a folder to a coordinator elsewhere.

use std::path::Path;
use std::time::Duration;

use mayfly_proto::v1::{PutCodeReply, PutCodeRequest};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

use crate::cli::client::{self, Client};
use crate::cli::failure::Failure;
use crate::home::random_base32;

/// Bytes of one piece: below what the coordinator takes in one message.
const PIECE: u64 = 192 * 1024;
/// Pieces in a row that may bring nothing on.
const FRUITLESS: u32 = 120;
const WAIT: Duration = Duration::from_millis(500);

/// Brings the bundle of a commit, unless the coordinator has it. Returns its key.
///
/// # Errors
/// The file cannot be read, or the coordinator refuses it or does not answer.
pub(super) async fn bundle(client: &mut Client, bundle: &Path, commit: &str) -> Result<String, Failure> {
    let unreadable = |e: std::io::Error| Failure::usage(format!("cannot read {}: {e}", bundle.display()));
    let mut file = File::open(bundle).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    let upload_id = random_base32(10).map_err(|e| Failure::chain("draw an id for the upload", &e))?;
    let (mut offset, mut fruitless) = (0, 0);
    let mut request = PutCodeRequest {
        commit: commit.to_owned(),
        upload_id,
        ..PutCodeRequest::default()
    };
    loop {
        let reply = send(client, request.clone()).await?;
        if let Some(PutCodeReply { received, bundle_key }) = reply {
            if !bundle_key.is_empty() {
                return Ok(bundle_key);
            }
            fruitless = if received > offset { 0 } else { fruitless + 1 };
            offset = received.min(size);
        } else {
            fruitless += 1;
        }
        if fruitless > 1 {
            tokio::time::sleep(WAIT).await;
        }
        if fruitless > FRUITLESS {
            return Err(Failure::infra(
                "the coordinator does not take the code: try again later",
            ));
        }
        let length = PIECE.min(size - offset);
        let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
        file.seek(SeekFrom::Start(offset)).await.map_err(unreadable)?;
        file.read_exact(&mut data).await.map_err(unreadable)?;
        request.offset = offset;
        request.last = offset + length == size;
        request.data = data;
    }
}

/// `None` when it may work another time.
async fn send(client: &mut Client, request: PutCodeRequest) -> Result<Option<PutCodeReply>, Failure> {
    match client.put_code(request).await {
        Ok(reply) => Ok(Some(reply.into_inner())),
        Err(status) if client::may_pass(&status) => Ok(None),
        Err(status) => Err(client::refused("bring the code", &status)),
    }
}
