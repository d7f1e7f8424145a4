//! Pages over plain HTTP, asked for without the clients under test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub kind: String,
    /// All of it.
    pub body: String,
}

/// Gets a page; `None` when there is nobody, or no whole answer.
#[must_use]
pub fn try_get(at: SocketAddr, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect_timeout(&at, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    // HTTP/1.0 has no chunks and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let kind = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.trim().to_owned())
    });
    Some(Page {
        status: head.split(' ').nth(1)?.parse().ok()?,
        kind: kind.unwrap_or_default(),
        body: body.to_owned(),
    })
}

/// Gets a page that must be there.
///
/// # Panics
/// It is not.
#[must_use]
pub fn get(at: SocketAddr, path: &str) -> Page {
    let page = try_get(at, path).unwrap_or_else(|| panic!("no answer from http://{at}{path}"));
    assert_eq!(page.status, 200, "http://{at}{path}: {}", page.body);
    page
}
