//! A real SSH server, and the client's settings for it: nothing of the user's own is touched or looked at.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, User, getuid};
use tempfile::TempDir;

use crate::loopback;
use crate::programs::{self, must};
use crate::wait::{self, secs};

/// The name that the client's settings give the server.
pub const ALIAS: &str = "gitbox";

/// A server that lets one key in, as the user who runs the tests. Killed when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    dir: TempDir,
    child: Child,
    port: u16,
    user: String,
}

/// What the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The key, in a file.
    Key,
    /// The same, in a file with a passphrase.
    Passphrase,
    /// The key in an agent, and none in a file.
    Agent,
    /// The key, and no word of the server's own one.
    Stranger,
}

impl Sshd {
    /// Starts it.
    ///
    /// # Panics
    /// It cannot be had, or does not answer.
    #[must_use]
    pub fn start() -> Self {
        let programs = programs::tool("sshd");
        let dir = tempfile::Builder::new().prefix("mayfly-sshd-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, passphrase) in [("host", ""), ("key", ""), ("locked", "open sesame")] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
                .arg(at(name));
            must(&mut make);
        }
        let keys = ["key.pub", "locked.pub"].map(|name| fs::read_to_string(at(name)).unwrap());
        fs::write(at("authorized"), keys.concat()).unwrap();
        let port = loopback::free().port();
        let user = User::from_uid(getuid()).unwrap().expect("a user").name;
        let known = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let root = dir.path().display();
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {root}/host\nPidFile none\nStrictModes no\nUsePAM no\n\
             AuthorizedKeysFile {root}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nSetEnv PATH={path}\n"
        );
        fs::write(at("sshd_config"), settings).unwrap();
        let mut command = command(&programs, dir.path());
        let log = fs::File::create(at("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        wait::until("an SSH server", secs(20), || {
            let ended = child.try_wait().unwrap();
            let said = || fs::read_to_string(at("log")).unwrap_or_default();
            assert!(ended.is_none(), "sshd has ended: {}", said());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            dir,
            child,
            port,
            user,
        }
    }

    /// `ssh://user@host:port` and this path.
    #[must_use]
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// `user@host:path`, where the host is an alias of the client's settings.
    #[must_use]
    pub fn scp_url(&self, path: &Path) -> String {
        format!("{}@{ALIAS}:{}", self.user, path.display())
    }

    /// A folder for the beginning of `PATH`: its `ssh` is the system's, with settings of its own in place of the user's.
    ///
    /// # Panics
    /// There is no `ssh` here.
    #[must_use]
    pub fn client(&self, has: Client) -> PathBuf {
        let root = self.dir.path().display();
        let key = match has {
            Client::Key | Client::Stranger => format!("IdentityFile {root}/key"),
            Client::Passphrase => format!("IdentityFile {root}/locked"),
            Client::Agent => "IdentityFile none".to_owned(),
        };
        let known = if has == Client::Stranger { "none" } else { "known" };
        let folder = self.dir.path().join(format!("client-{has:?}"));
        fs::create_dir(&folder).unwrap();
        let settings = format!(
            "Host {ALIAS}\n  HostName 127.0.0.1\n  Port {}\nHost *\n  {key}\n  UserKnownHostsFile {root}/{known}\n  \
             GlobalKnownHostsFile none\n",
            self.port
        );
        fs::write(folder.join("config"), settings).unwrap();
        let real = must(Command::new("sh").args(["-c", "command -v ssh"]));
        let program = folder.join("ssh");
        let script = format!(
            "#!/bin/sh\nexec {} -F {}/config \"$@\"\n",
            real.trim(),
            folder.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    /// The file of the key that is let in.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("---- sshd\n{log}");
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Root's server wants a user and a folder that its package makes: it gets them in a mount namespace of its own.
fn command(programs: &Path, dir: &Path) -> Command {
    let sshd = programs.join("sshd");
    let settings = dir.join("sshd_config");
    let mut command = if getuid() == Uid::from_raw(0) {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let others = users.lines().filter(|line| !line.starts_with("sshd:"));
        let own = "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin";
        let users: Vec<&str> = others.chain([own]).collect();
        fs::write(dir.join("passwd"), users.join("\n") + "\n").unwrap();
        let prepare = "mount --bind \"$1\" /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", prepare, "sh"]);
        command.arg(dir.join("passwd")).arg(sshd);
        command
    } else {
        Command::new(sshd)
    };
    command.env("LD_LIBRARY_PATH", programs);
    command.args(["-D", "-e", "-f"]).arg(settings);
    command
}
