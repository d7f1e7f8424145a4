//! A store that is there, and for a while is not: a proxy before it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use crate::proxy::{Pass, Proxy, Rule};

/// For a request to come.
const REQUEST_LIMIT: Duration = Duration::from_millis(200);
/// What S3 says when it is asked too much.
const SLOW_DOWN: &str = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They are carried.
    Fair,
    /// Nothing gets through, and nobody is told.
    Silent,
    /// They are hung up on.
    Broken,
    /// Each request is answered with 503.
    Busy,
}

/// The proxy.
#[derive(Debug)]
pub(super) struct Sky(Proxy<Now>);

#[derive(Debug)]
struct Now(Mutex<Weather>);

impl Now {
    fn weather(&self) -> Weather {
        *self.0.lock().unwrap()
    }
}

impl Rule for Now {
    type Client = ();

    fn greet(&self, client: &mut TcpStream) -> Option<()> {
        if self.weather() == Weather::Busy {
            refuse(client);
            return None;
        }
        Some(())
    }

    fn pass(&self, (): &()) -> Pass {
        match self.weather() {
            Weather::Fair => Pass::Carry,
            Weather::Silent => Pass::Hold,
            Weather::Broken | Weather::Busy => Pass::End,
        }
    }
}

impl Sky {
    /// Before the server at `http://host:port`, in fair weather.
    pub(super) fn before(url: &str) -> Self {
        Self(Proxy::before(url, Now(Mutex::new(Weather::Fair))))
    }

    /// `http://host:port` of this.
    pub(super) fn url(&self) -> String {
        self.0.url()
    }

    pub(super) fn change(&self, to: Weather) {
        *self.0.rule().0.lock().unwrap() = to;
    }
}

/// Hears the request out, or the answer would be lost with the connection.
fn refuse(client: &mut TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SLOW_DOWN}",
        SLOW_DOWN.len()
    );
    let _left = client.set_read_timeout(Some(REQUEST_LIMIT));
    let _left = client.read(&mut [0; 16 * 1024]);
    let _left = client.write_all(answer.as_bytes());
    let _left = client.shutdown(Shutdown::Write);
    while matches!(client.read(&mut [0; 16 * 1024]), Ok(1..)) {}
}
