//! A connection as two streams of pieces, to be carried over something else.

use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::io::{ReaderStream, StreamReader};

/// How long a call outlives its socket.
const LINGER: Duration = Duration::from_secs(60);
/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// A socket for pieces: each is a packet of its own already, and waiting for more to fill one only adds delay.
#[must_use]
pub fn prompt(socket: TcpStream) -> TcpStream {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "small packets of a tunnel may be late");
    }
    socket
}

/// Carries what comes from `pieces` to a socket, and gives what comes from there. When either side is dropped, so is the
/// other.
pub fn carry<P: Into<Bytes> + 'static, E: fmt::Display + Send + 'static>(
    socket: impl AsyncRead + AsyncWrite + Send + 'static,
    pieces: impl Stream<Item = Result<P, E>> + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send {
    let (read, write) = tokio::io::split(socket);
    let mut up = JoinSet::new();
    up.spawn(pump(pieces, write));
    let down = ReaderStream::with_capacity(read, PIECE);
    down.map(move |piece| {
        // It lives as long as this stream.
        let _up = &up;
        piece.map(|bytes| bytes.to_vec())
    })
}

/// Carries whoever connects, one connection beside the other, until it is dropped.
pub async fn serve<F>(listener: TcpListener, carry: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    connections.spawn(carry(socket));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection from begin to end, where what comes from the socket goes into a channel whose messages become a call.
///
/// A call that is dropped takes with it what has not been sent. So when either side has said its last word, the call lasts
/// until the other one has taken it and ended the call, for a minute at most.
pub async fn join<P: Into<Bytes> + 'static, E: fmt::Display + Send + 'static, M>(
    socket: impl AsyncRead + AsyncWrite + Send + 'static,
    incoming: impl Stream<Item = Result<P, E>> + Send + Unpin + 'static,
    outgoing: mpsc::Sender<M>,
    message: impl Fn(Vec<u8>) -> M,
) {
    let (open, over) = oneshot::channel::<()>();
    let incoming = incoming.inspect(move |_| {
        // It is dropped with this stream, which is how the end of that is known.
        let _open = &open;
    });
    let mut back = pin!(carry(socket, incoming));
    loop {
        let piece = tokio::select! {
            piece = back.next() => piece,
            () = outgoing.closed() => break,
        };
        let Some(Ok(bytes)) = piece else { break };
        if outgoing.send(message(bytes)).await.is_err() {
            break;
        }
    }
    drop(outgoing);
    // Until then `back` still writes to the socket. Whoever has not ended the call by that time has left.
    let _ = timeout(LINGER, over).await;
}

async fn pump<P: Into<Bytes>, E: fmt::Display>(
    pieces: impl Stream<Item = Result<P, E>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
) {
    let bytes = pieces.map(|piece| match piece {
        Ok(piece) => Ok(piece.into()),
        Err(error) => Err(io::Error::other(error.to_string())),
    });
    let mut from = StreamReader::new(bytes);
    let carried = tokio::io::copy(&mut from, &mut to).await;
    // However it ended: whoever waits for an answer sees the end of the connection.
    let shut = to.shutdown().await;
    if let Err(error) = carried.and(shut) {
        tracing::debug!(%error, "a tunnel ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (here, there) = tokio::join!(TcpStream::connect(at), listener.accept());
        (here.unwrap(), there.unwrap().0)
    }

    type Call = futures::stream::BoxStream<'static, Result<Vec<u8>, String>>;

    /// The pieces, then the end of the call when it is let go.
    fn call(pieces: &[&str], end: &CancellationToken) -> Call {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(piece.as_bytes().to_vec())).collect();
        let end = end.clone().cancelled_owned();
        let last = futures::stream::once(end).filter_map(|()| std::future::ready(None));
        futures::stream::iter(pieces).chain(last).boxed()
    }

    #[tokio::test]
    async fn what_came_before_the_end_of_the_call_is_written() {
        let (socket, mut client) = pair().await;
        let (up, taken) = mpsc::channel(1);
        let end = CancellationToken::new();
        end.cancel();
        // The other side is done, and takes nothing any more: as a call whose answer is complete.
        drop(taken);
        let mut read = String::new();
        let ((), size) = tokio::join!(
            join(socket, call(&["last ", "words"], &end), up, |bytes| bytes),
            client.read_to_string(&mut read)
        );
        size.unwrap();
        assert_eq!(read, "last words");
    }

    #[tokio::test]
    async fn the_call_lasts_until_the_other_side_has_everything() {
        let (socket, mut client) = pair().await;
        let (up, mut taken) = mpsc::channel(1);
        let end = CancellationToken::new();
        let mut joined = pin!(join(socket, call(&[], &end), up, |bytes| bytes));
        client.write_all(b"bye").await.unwrap();
        client.shutdown().await.unwrap();
        let taken = async {
            assert_eq!(taken.recv().await.unwrap(), b"bye");
            assert_eq!(taken.recv().await, None, "the end of what the socket says");
        };
        tokio::select! {
            () = taken => {}
            () = &mut joined => panic!("it ended the call itself"),
        }
        let early = timeout(Duration::from_millis(50), &mut joined).await;
        assert!(early.is_err(), "it ended the call itself");
        end.cancel();
        joined.await;
    }
}
