//! The flags of `launch`, and what they say by themselves.

use std::path::Path;

use super::without_file::WithoutFile;
use crate::cli::config;
use crate::cli::consul::ConsulArgs;
use crate::cli::failure::Failure;
use crate::cli::jobs::{self, Found};
use crate::cli::remote::Remote;

/// Flags of `launch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator launch log-reg-iris                      a job of configs/jobs/*.yml or *.yml, here or above
  coordinator launch jobs.yml                          the only job of a file
  coordinator launch jobs.yml daily --set workers.count=8 --set limits.deadline=2h
  coordinator launch daily --from consul               a job that the team keeps in Consul
  coordinator launch --repo https://github.com/me/code --ref v1.2 --entry main.py --workers 4
  coordinator launch --entry main.py --dirty           this folder, uncommitted work too

Exit codes: 0 succeeded, 1 the job failed, 2 usage or configuration, 3 infrastructure, 4 deadline,
5 budget, 130 cancelled. Ctrl-C once cancels and saves, twice is faster, three times exits at once.")]
pub(crate) struct Flags {
    /// A job file, a job, or both
    #[arg(num_args = 0..=2, value_names = ["FILE", "JOB"])]
    named: Vec<String>,
    /// Take the job from what the team keeps there, not from a file
    #[arg(long, value_enum, conflicts_with = "entry", value_name = "WHERE")]
    from: Option<Holder>,
    #[command(flatten)]
    without_file: WithoutFile,
    /// Lay a value over the job, such as workers.count=8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Take the uncommitted work of the folder along
    #[arg(long)]
    pub(super) dirty: bool,
    /// Where to run [default: this machine, or what the coordinator has first]
    #[arg(long, value_enum, value_name = "CLOUD")]
    pub(super) on: Option<Cloud>,
    /// Ask nothing, even when it costs money
    #[arg(long, short)]
    pub(super) yes: bool,
    /// One JSON object for each event; the last one is the receipt
    #[arg(long)]
    pub(super) json: bool,
    /// Show the run's page in a browser
    #[arg(long)]
    pub(super) open: bool,
    #[command(flatten)]
    pub(super) remote: Remote,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) aws: crate::cli::placed::Placed,
    /// Print the run's id and leave it to its coordinator: a server, or the one on its own master
    #[arg(long)]
    pub(super) detach: bool,
    #[command(flatten)]
    pub(super) consul: ConsulArgs,
    /// Id of this request: the same id, job and commit are the same run [default: a new one]
    #[arg(long, value_name = "ID", value_parser = request_id)]
    pub(super) request_id: Option<String>,
}

/// What holds jobs, other than files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Holder {
    /// Consul's KV; see `coordinator config`.
    Consul,
}

/// Where machines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cloud {
    /// The machine of the coordinator.
    Local,
    /// EC2 instances.
    Aws,
}

impl Cloud {
    /// As requests have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

/// `--set`: a key of the job and its value.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write KEY=VALUE, such as workers.count=8")?;
    if key.is_empty() {
        return Err("there is no key before the `=`".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn request_id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 128 || text.starts_with('-') || !text.chars().all(plain) {
        return Err("use 1 to 128 letters, digits, `.`, `_` and `-`, no `-` first".to_owned());
    }
    Ok(text.to_owned())
}

impl Flags {
    /// What stands in place of a file.
    pub(crate) fn without_file(&self) -> &WithoutFile {
        &self.without_file
    }

    /// Where nothing says which job it is.
    pub(crate) fn names_nothing(&self) -> bool {
        self.named.is_empty() && self.from.is_none()
    }

    /// The values that lie over the job.
    pub(crate) fn sets(&self) -> &[(String, String)] {
        &self.sets
    }

    /// Whether the run's coordinator will live on its own master.
    ///
    /// # Errors
    /// The client's settings are wrong.
    pub(crate) fn is_placed(&self) -> Result<bool, Failure> {
        Ok(self.on == Some(Cloud::Aws) && !self.remote.is_named()?)
    }

    /// Whether the run is left as soon as it is launched.
    pub(crate) fn detaches(&self) -> bool {
        self.detach
    }

    /// The job that is meant.
    ///
    /// # Errors
    /// There is none, or something is wrong with it.
    pub(crate) async fn found(&self, cwd: &Path) -> Result<Found, Failure> {
        if self.from == Some(Holder::Consul) {
            return jobs::of_consul(&config::open(&self.consul)?, &self.named, &self.sets, cwd).await;
        }
        match self.without_file.job(&self.sets, cwd)? {
            Some(flags) => jobs::of_flags(&flags, cwd),
            None => jobs::of_file(&self.named, &self.sets, cwd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_flags_are_checked() {
        assert_eq!(key_value("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(key_value("a").is_err() && key_value("=a").is_err());
        for bad in ["", "../../x", "-x", "é", "a b", "a\n", &"x".repeat(10_240)] {
            assert!(request_id(bad).is_err(), "{bad:?}");
        }
        assert!(request_id("ci-1234.5_a").is_ok());
    }
}
