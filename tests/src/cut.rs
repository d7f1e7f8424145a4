//! A server that some processes of this machine can reach and others cannot.

use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

/// How often a connection looks whether it has been cut.
const LOOK: Duration = Duration::from_millis(50);

/// Stands before a server and carries every byte, except those of processes that are cut off: theirs get lost, both
/// ways, as in a network that is parted. Nobody is told.
#[derive(Debug)]
pub struct Cut {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    off: Mutex<HashSet<i32>>,
    ended: AtomicBool,
}

impl Shared {
    fn is_off(&self, client: &Client) -> bool {
        let off = self.off.lock().unwrap();
        !off.is_empty() && client.pid().is_some_and(|pid| off.contains(&pid))
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Who has connected.
#[derive(Debug)]
struct Client {
    peer: Option<SocketAddr>,
    pid: OnceLock<i32>,
}

impl Client {
    fn new(stream: &TcpStream) -> Arc<Self> {
        let client = Self {
            peer: stream.peer_addr().ok(),
            pid: OnceLock::new(),
        };
        client.pid();
        Arc::new(client)
    }

    /// Its process. The kernel's table is read in pieces while others change it, so that a look may miss it: the next
    /// one finds it.
    fn pid(&self) -> Option<i32> {
        if self.pid.get().is_none()
            && let Some(pid) = self.peer.and_then(owner)
        {
            let _ = self.pid.set(pid);
        }
        self.pid.get().copied()
    }
}

impl Cut {
    /// Before the server at `http://host:port`.
    ///
    /// # Panics
    /// That is no address, or there is no port left.
    #[must_use]
    pub fn before(url: &str) -> Self {
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
                carry(client, server, &state);
            }
        });
        Self { address, shared }
    }

    /// `http://host:port` of this.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on nothing gets through from or to this process.
    ///
    /// # Panics
    /// Another thread has panicked.
    pub fn off(&self, pid: i32) {
        self.shared.off.lock().unwrap().insert(pid);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener waits for one more.
        drop(TcpStream::connect(self.address));
    }
}

fn carry(client: TcpStream, server: SocketAddr, shared: &Arc<Shared>) {
    let who = Client::new(&client);
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let (Ok(back_from), Ok(back_to)) = (server.try_clone(), client.try_clone()) else {
        return;
    };
    for (from, to) in [(client, server), (back_from, back_to)] {
        let (who, shared) = (Arc::clone(&who), Arc::clone(shared));
        thread::spawn(move || one_way(from, to, &who, &shared));
    }
}

fn one_way(mut from: TcpStream, mut to: TcpStream, who: &Client, shared: &Shared) {
    let mut bytes = [0; 16 * 1024];
    from.set_read_timeout(Some(LOOK)).unwrap();
    while !shared.ended() {
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => continue,
            Err(_) => break,
        };
        if !shared.is_off(who) && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // That a process which is cut off hangs up is not heard either.
    if !shared.is_off(who) {
        drop(to.shutdown(Shutdown::Write));
    }
}

/// The process that has the other end of a connection from this machine.
fn owner(peer: SocketAddr) -> Option<i32> {
    let SocketAddr::V4(peer) = peer else { return None };
    let local = format!(
        "{:08X}:{:04X}",
        u32::from_le_bytes(peer.ip().octets()),
        peer.port()
    );
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let columns = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let inode = columns
        .filter(|columns| columns.get(1) == Some(&local.as_str()))
        .find_map(|columns| columns.get(9).map(|inode| format!("socket:[{inode}]")))?;
    let all = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut targets = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        targets.any(|target| target.as_os_str() == inode.as_str())
    })
}
