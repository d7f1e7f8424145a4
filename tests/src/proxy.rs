//! A proxy of TCP before a server, with a rule for what gets through.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::wait;

/// How often a connection asks the rule, when nothing comes.
const LOOK: Duration = Duration::from_millis(20);

/// What becomes of the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// They are carried.
    Carry,
    /// They wait.
    Hold,
    /// Both sides are hung up on.
    End,
}

/// What decides.
pub(crate) trait Rule: Send + Sync + 'static {
    /// What is known of a client.
    type Client: Send + Sync;

    /// A client has come; none when it has been dealt with.
    fn greet(&self, client: &mut TcpStream) -> Option<Self::Client>;

    /// What becomes of its bytes now.
    fn pass(&self, client: &Self::Client) -> Pass;
}

/// The proxy. Its threads end when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy<R> {
    address: SocketAddr,
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    rule: R,
    ended: AtomicBool,
}

impl<R: Rule> Shared<R> {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits while bytes do.
    fn pass(&self, client: &R::Client) -> Pass {
        while !self.ended() {
            match self.rule.pass(client) {
                Pass::Hold => wait::pause(),
                pass => return pass,
            }
        }
        Pass::End
    }
}

impl<R: Rule> Proxy<R> {
    /// Before the server at `http://host:port`.
    ///
    /// # Panics
    /// That is no address, or there is no port left.
    pub(crate) fn before(url: &str, rule: R) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            rule,
            ended: AtomicBool::new(false),
        });
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
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn rule(&self) -> &R {
        &self.shared.rule
    }
}

impl<R> Drop for Proxy<R> {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener waits for one more.
        drop(TcpStream::connect(self.address));
    }
}

fn carry<R: Rule>(mut client: TcpStream, server: SocketAddr, shared: &Arc<Shared<R>>) {
    let Some(who) = shared.rule.greet(&mut client).map(Arc::new) else {
        return;
    };
    if shared.pass(&who) == Pass::End {
        return;
    }
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let (Ok(back_from), Ok(back_to)) = (server.try_clone(), client.try_clone()) else {
        return;
    };
    let (back_who, back) = (Arc::clone(&who), Arc::clone(shared));
    thread::spawn(move || one_way::<R>(back_from, back_to, &back_who, &back));
    one_way::<R>(client, server, &who, shared);
}

fn one_way<R: Rule>(mut from: TcpStream, mut to: TcpStream, who: &R::Client, shared: &Shared<R>) {
    let mut bytes = [0; 16 * 1024];
    let _left = from.set_read_timeout(Some(LOOK));
    while shared.pass(who) != Pass::End {
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => continue,
            Err(_) => break,
        };
        // It may have changed while nothing came.
        if shared.pass(who) == Pass::End || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let how = if shared.pass(who) == Pass::Carry {
        Shutdown::Write
    } else {
        Shutdown::Both
    };
    let _left = to.shutdown(how);
}
