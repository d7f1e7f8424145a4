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

/// What is asked of a server, as far as it is not always the same.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, mostly.
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// May be empty.
    pub body: &'a str,
    /// For the whole answer.
    pub limit: Duration,
}

impl<'a> Request<'a> {
    /// A plain one.
    #[must_use]
    pub fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            headers: &[],
            body: "",
            limit: LIMIT,
        }
    }

    /// The answer; `None` when there is nobody, or no whole answer.
    #[must_use]
    pub fn send(&self, at: SocketAddr) -> Option<Page> {
        self.send_as(at, &at.to_string())
    }

    /// The same to a server that is called something else.
    #[must_use]
    pub fn send_as(&self, at: SocketAddr, host: &str) -> Option<Page> {
        let mut stream = TcpStream::connect_timeout(&at, self.limit).ok()?;
        stream.set_read_timeout(Some(self.limit)).ok()?;
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        // HTTP/1.0 has no chunks and ends with the connection.
        write!(
            stream,
            "{} {} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n{}",
            self.method,
            self.path,
            self.body.len(),
            self.body
        )
        .ok()?;
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
}

/// Gets a page; `None` when there is nobody, or no whole answer.
#[must_use]
pub fn try_get(at: SocketAddr, path: &str) -> Option<Page> {
    Request::get(path).send(at)
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
