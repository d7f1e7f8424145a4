//! A connection that has shaken hands.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::Peer;
use super::limits::Permit;

/// What every HTTP/2 client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, counted as long as it lives.
#[derive(Debug)]
pub struct Conn {
    io: Io,
    peer: Peer,
    /// What was read to know what it speaks, and is still to be read by whoever serves it.
    heard: Bytes,
    _permit: Permit,
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Conn {
    pub(super) fn new(io: Io, peer: Peer, permit: Permit) -> Self {
        Self {
            io,
            peer,
            heard: Bytes::new(),
            _permit: permit,
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Reads until it is known what the other end speaks.
    ///
    /// # Errors
    /// It ended before.
    pub(super) async fn spoken(&mut self) -> io::Result<Spoken> {
        let mut heard = [0; PREFACE.len()];
        let mut size = 0;
        loop {
            let rest = heard.get_mut(size..).unwrap_or_default();
            let more = self.read(rest).await?;
            if more == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            size += more;
            let so_far = heard.get(..size).unwrap_or_default();
            let spoken = match PREFACE.starts_with(so_far) {
                true if size == PREFACE.len() => Spoken::Http2,
                true => continue,
                false => Spoken::Http1,
            };
            self.heard = Bytes::copy_from_slice(so_far);
            return Ok(spoken);
        }
    }
}

impl Connected for Conn {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.heard.has_remaining() {
            let size = self.heard.remaining().min(buf.remaining());
            buf.put_slice(&self.heard.split_to(size));
            return Poll::Ready(Ok(()));
        }
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
