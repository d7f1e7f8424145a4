//! The job's own build: what it makes may be the entry.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use mayfly_proto::v1::Code;

use super::Common;
use crate::command::Command;
use crate::engine::{Python, cause};
use crate::prepare::PrepareError;
use crate::supervise::{Line, Stream};

/// The time to form is the run's own limit; this is for a build that hangs where that is long.
pub(super) const BUILD_MAX: Duration = Duration::from_secs(60 * 60);

/// Runs it in the job's folder.
pub(super) async fn build(
    common: &Common,
    wanted: &Code,
    code: &Path,
    python: &Python,
) -> Result<(), PrepareError> {
    let Some((program, args)) = wanted.build.split_first() else {
        return Ok(());
    };
    let shown = wanted.build.join(" ");
    let toolchain = &common.config.toolchain;
    let mut path = OsString::new();
    for folder in python.path.iter().chain([&toolchain.java_home().join("bin")]) {
        path.push(folder);
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let lines = common.lines.clone();
    let command = Command::new(&common.keeper, program, args, &code.join(&wanted.path))
        .of_job()
        .env("PATH", path);
    // The very ones that the job runs with.
    let variables = toolchain.variables().into_iter();
    let command = variables.fold(command, |command, (name, value)| command.env(name, value));
    let done = command
        .run(BUILD_MAX, |text| {
            // What nobody takes at once is of no use later: the failure carries its last words.
            let _ = lines.try_send(Line {
                stream: Stream::Agent,
                text: text.to_owned(),
            });
        })
        .await
        .map_err(|error| PrepareError::job(format!("the build `{shown}` cannot be started: {error}")))?;
    match done.exit {
        Some(exit) if exit.success() => Ok(()),
        Some(exit) => Err(PrepareError::job(format!(
            "the build `{shown}` {}: {}",
            cause::of_exit(exit),
            done.last_line()
        ))),
        None => Err(PrepareError::job(format!(
            "the build `{shown}` did not end within {} minutes",
            BUILD_MAX.as_secs() / 60
        ))),
    }
}
