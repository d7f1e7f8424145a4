//! The store of a coordinator elsewhere, opened here.

use std::net::{Ipv4Addr, SocketAddr};

use futures::TryStreamExt as _;
use mayfly_kit::store::{Access, StoreConfig};
use mayfly_kit::tunnel;
use mayfly_proto::v1::{GetStoreReply, GetStoreRequest, StoreBytes};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::client::{self, Client};
use super::failure::Failure;
use super::storage;
use crate::embedded::OpenStore;

/// Pieces that wait to be sent.
const WAITING: usize = 4;

/// Opens the store that a coordinator keeps its runs in. One that is served on the coordinator's machine alone is reached
/// through the coordinator, by a port of this machine that is there as long as the store is open.
///
/// # Errors
/// The coordinator refuses or is too old to tell, or the store does not answer.
pub(crate) async fn open(mut client: Client) -> Result<OpenStore, Failure> {
    let reply = client.get_store(GetStoreRequest {}).await;
    let place = reply.map_err(|status| refused(&status))?.into_inner();
    let Some(keys) = place.keys.clone() else {
        return Ok(OpenStore::elsewhere(storage::told(place).await?).await?);
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(|error| Failure::infra(format!("no port is free: {error}")))?;
    let here = listener
        .local_addr()
        .map_err(|error| Failure::infra(error.to_string()))?;
    let config = config(&place, here, Access::keys(keys.access_key, keys.secret_key));
    let mut way = JoinSet::new();
    way.spawn(tunnel::serve(listener, move |socket| {
        carry(client.clone(), socket)
    }));
    Ok(OpenStore::elsewhere(config).await?.by(way))
}

fn config(place: &GetStoreReply, here: SocketAddr, access: Access) -> StoreConfig {
    StoreConfig {
        endpoint: Some(format!("http://{here}")),
        bucket: place.bucket.clone(),
        prefix: place.prefix.clone(),
        region: place.region.clone(),
        access,
    }
}

fn refused(status: &Status) -> Failure {
    match status.code() {
        Code::Unimplemented => Failure::infra(
            "the coordinator is too old to tell where its store is: read it where the coordinator runs, or name it with \
             MAYFLY_STORE",
        ),
        _ => client::refused("find the store", status),
    }
}

/// One connection.
async fn carry(mut client: Client, socket: TcpStream) {
    let (to_server, outgoing) = tokio::sync::mpsc::channel(WAITING);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let incoming = match client.tunnel_store(outgoing).await {
        Ok(reply) => reply.into_inner(),
        Err(error) => {
            tracing::warn!(%error, "no way to the store of the coordinator");
            return;
        }
    };
    let pieces = incoming.map_ok(|piece| piece.bytes);
    tunnel::join(tunnel::prompt(socket), pieces, to_server, |bytes| StoreBytes {
        bytes,
    })
    .await;
}
