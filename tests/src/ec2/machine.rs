//! One instance: its folders, and the tree of processes in its namespaces.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Image;
use super::imds::Metadata;
use crate::{procs, wait};

/// Killed processes take a moment to go.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What the rig says of an instance.
#[derive(Debug, Clone, Deserialize)]
pub struct Info {
    /// `i-…`.
    pub id: String,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopped`.
    pub state: String,
    /// Of its region.
    pub region: String,
    /// Of its zone.
    pub az: String,
    /// Of its account.
    pub account: String,
    /// Loopback.
    pub private_address: IpAddr,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `spot` or `on-demand`.
    pub lifecycle: String,
    /// Of its image.
    pub image: String,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// When it was asked for.
    pub launch_time: String,
    /// As far as its metadata shows them.
    pub tags: Option<Map<String, Value>>,
    /// As it reads it.
    pub user_data: Option<String>,
    /// The role whose credentials it has.
    #[serde(rename = "role")]
    pub profile_role: Option<String>,
    /// ARN of its instance profile.
    pub profile: Option<String>,
    /// `required`, or metadata without a token is answered.
    pub http_tokens: String,
    /// The Auto Scaling group that launched it.
    pub group: Option<String>,
    /// Spot's notice.
    pub notice: Option<Value>,
    /// When it was recommended to leave.
    pub rebalance: Option<String>,
    /// How far the clock of AWS is ahead of this machine's, in seconds.
    ahead_secs: f64,
}

impl Info {
    /// What it is for, as its tags say: `master`, `worker`.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.tags.as_ref()?.get("mayfly:role")?.as_str()
    }

    /// The time, as AWS has it.
    ///
    /// # Panics
    /// There is no such time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::try_from_secs_f64(self.ahead_secs).expect("a difference of clocks");
        Timestamp::now() + ahead
    }
}

/// The one path that is another folder on each instance.
pub(super) fn shared(root: &Path) -> PathBuf {
    root.join("shared")
}

/// It runs until it is dropped.
#[derive(Debug)]
pub(super) struct Machine {
    child: Child,
    pub(super) metadata: Metadata,
    asked: bool,
}

impl Machine {
    /// Makes its folders and boots it.
    pub(super) fn boot(
        rig: SocketAddr,
        root: &Path,
        image: &Image,
        info: &Info,
        metadata: Metadata,
    ) -> io::Result<Self> {
        let folder = root.join(&info.id);
        for name in ["bin", "shared", "tmp", "home"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::create_dir_all(shared(root))?;
        let mut site = json!({
            "toolchain": image.toolchain,
            "folder": folder.join("node"),
            "shared": shared(root),
        });
        if let Some(consul) = &image.consul {
            site["consul_program"] = json!(consul);
        }
        fs::write(folder.join("site.json"), site.to_string())?;
        write_poweroff(&folder.join("bin/poweroff"), rig, &info.id)?;
        let console = File::options()
            .create(true)
            .append(true)
            .open(folder.join("console.log"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let as_root: &[&str] = if Uid::effective().is_root() {
            &[]
        } else {
            &["--map-root-user"]
        };
        let child = Command::new("setpriv")
            // The thread that boots machines lives as long as their region.
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(as_root)
            .args([
                "sh",
                "-c",
                r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#,
                "sh",
            ])
            .args([folder.join("shared"), shared(root)])
            .args(&image.command)
            .current_dir(&folder)
            .env_clear()
            .env("PATH", format!("{}:{path}", folder.join("bin").display()))
            .env("HOME", folder.join("home"))
            .env("TMPDIR", folder.join("tmp"))
            .env("MAYFLY_SITE", folder.join("site.json"))
            .env("MAYFLY_RUNTIME_DIR", folder.join("run"))
            .env("AWS_ENDPOINT_URL", format!("http://{rig}"))
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url())
            .envs(image.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .process_group(0)
            .spawn()?;
        Ok(Self {
            child,
            metadata,
            asked: false,
        })
    }

    /// As the first press of a power button: its first process gets a SIGTERM, once.
    pub(super) fn shut_down(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            for pid in children(self.child.id()) {
                // It may have ended by itself.
                let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
    }

    /// Every process in it.
    pub(super) fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut next: Vec<i32> = children(self.child.id());
        while let Some(pid) = next.pop() {
            found.push(pid);
            next.extend(children(pid.unsigned_abs()));
        }
        found
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let first = children(self.child.id());
        // The kernel kills a pid namespace with its first process, and that with its parent.
        drop(self.child.kill());
        drop(self.child.wait());
        // It is gone once all the others are.
        let gone = || (!first.iter().any(|&pid| procs::is_alive(pid))).then_some(());
        if wait::within(END_LIMIT, gone).is_none() {
            eprintln!("processes {first:?} of an instance do not end");
        }
    }
}

fn children(pid: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let of = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let lists: Vec<String> = threads.into_iter().flatten().flatten().map(of).collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn write_poweroff(path: &Path, rig: SocketAddr, id: &str) -> io::Result<()> {
    let script = format!(
        "#!/bin/bash\n\
         # Nothing but bash: an instance has little on its PATH.\n\
         exec 3<>/dev/tcp/{}/{} || exit 1\n\
         printf 'POST /_rig/machines/{id}/poweroff HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n' >&3\n\
         read -r line <&3\n\
         [[ $line == *' 200 '* ]]\n",
        rig.ip(),
        rig.port(),
    );
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
