//! A store that is there, and for a while is not: a proxy before it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::wait;

/// How often a connection looks at the weather.
const LOOK: Duration = Duration::from_millis(20);
/// What S3 says when it is asked too much.
const SLOW_DOWN: &str = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
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

impl Weather {
    fn of(number: u8) -> Self {
        [Self::Fair, Self::Silent, Self::Broken, Self::Busy]
            .into_iter()
            .find(|weather| *weather as u8 == number)
            .unwrap_or(Self::Fair)
    }
}

/// The proxy. Its threads end when it is dropped.
#[derive(Debug)]
pub(super) struct Sky {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    weather: AtomicU8,
    ended: AtomicBool,
}

impl Shared {
    fn now(&self) -> Weather {
        Weather::of(self.weather.load(Ordering::SeqCst))
    }

    /// False when the connection is over.
    fn lets_through(&self) -> bool {
        while self.now() == Weather::Silent && !self.ended() {
            wait::pause();
        }
        self.now() == Weather::Fair && !self.ended()
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Sky {
    /// Before the server at `http://host:port`, in fair weather.
    pub(super) fn before(url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.ended() {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || carry(client, server, &state));
            }
        });
        Self { address, shared }
    }

    /// `http://host:port` of this.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn change(&self, to: Weather) {
        self.shared.weather.store(to as u8, Ordering::SeqCst);
    }
}

impl Drop for Sky {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener waits for one more.
        drop(TcpStream::connect(self.address));
    }
}

fn carry(client: TcpStream, server: SocketAddr, shared: &Arc<Shared>) {
    if shared.now() == Weather::Busy {
        return refuse(client);
    }
    if !shared.lets_through() {
        return;
    }
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let (Ok(back_from), Ok(back_to)) = (server.try_clone(), client.try_clone()) else {
        return;
    };
    let back = Arc::clone(shared);
    thread::spawn(move || one_way(back_from, back_to, &back));
    one_way(client, server, shared);
}

/// Hears the request out, or the answer would be lost with the connection.
fn refuse(mut client: TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SLOW_DOWN}",
        SLOW_DOWN.len()
    );
    let _left = client.set_read_timeout(Some(LOOK * 10));
    let _left = client.read(&mut [0; 16 * 1024]);
    let _left = client.write_all(answer.as_bytes());
    let _left = client.shutdown(Shutdown::Write);
    while matches!(client.read(&mut [0; 16 * 1024]), Ok(1..)) {}
}

fn one_way(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut bytes = [0; 16 * 1024];
    let _left = from.set_read_timeout(Some(LOOK));
    while shared.lets_through() {
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => continue,
            Err(_) => break,
        };
        if !shared.lets_through() || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let how = if shared.now() == Weather::Fair {
        Shutdown::Write
    } else {
        Shutdown::Both
    };
    let _left = to.shutdown(how);
}
