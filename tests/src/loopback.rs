//! Addresses on this machine.

use std::net::{SocketAddr, TcpListener};

/// One that nobody listened at a moment ago.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a port")
}
