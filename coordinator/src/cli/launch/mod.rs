//! `launch`: from a job to its receipt.

mod again;
mod begin;
mod bring;
mod coordinator;
mod detach;
mod flags;
mod inputs;
/// What is about to happen, for people.
pub(crate) mod plan;
mod request;
mod secrets;
mod without_file;

use std::path::Path;

use mayfly_kit::shutdown;

use super::connect::{Door, Way};
use super::failure::Failure;
use super::follow::{self, Followed};
use super::home;
use super::jobs::Found;
use super::signals::{self, Counting};
use super::view::{Mode, Paint, Screen};
use crate::record::Outcome;
use begin::{Begun, begin};
pub(crate) use flags::{Cloud, Flags, key_value};

/// Launches a job and follows it.
///
/// # Errors
/// Whatever keeps the run from being made; how a run that was made ended is the exit code.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    detach::check(flags)?;
    let found = flags.found(&home::current()?).await?;
    found_job(flags, found, None, home, paint).await
}

/// The same for a job that was found, and is a session where there is a door to it.
///
/// # Errors
/// As above.
pub(crate) async fn found_job(
    flags: &Flags,
    found: Found,
    session: Option<Door>,
    home: &Path,
    paint: Paint,
) -> Result<u8, Failure> {
    let mut screen = Screen::new(Mode::choose(flags.json), paint);
    let mut signals = signals::counting()?;
    let begun = tokio::select! {
        begun = begin(flags, found, home, &mut screen) => begun?,
        () = shutdown::reached(&mut signals.level, 1) => {
            screen.clear();
            return Err(Failure { code: Outcome::Cancelled.exit_code(), message: "stopped: nothing has been launched".into() });
        }
    };
    if flags.detach {
        return detach::leave(&begun, flags.json, &screen).await;
    }
    let ended = to_its_end(&begun, session, &mut screen, &mut signals).await;
    screen.clear();
    let ended = ended?;
    let left = matches!(ended, Followed::Detached);
    let code = follow::finish(ended, flags.json, paint);
    if !left {
        begun.coordinator.close(&mut signals.level).await;
    }
    code
}

/// Follows the run, unless it is over since the same request made it before.
async fn to_its_end(
    begun: &Begun,
    session: Option<Door>,
    screen: &mut Screen,
    signals: &mut Counting,
) -> Result<Followed, Failure> {
    let Begun {
        coordinator,
        run,
        is_new,
    } = begun;
    if !is_new && let Some(receipt) = again::receipt(coordinator, run).await? {
        screen.note(&again::sentence(run))?;
        return Ok(Followed::Closed(Box::new(receipt)));
    }
    let client = coordinator.client.clone();
    let mut way = session.map(|door| Way::to(client.clone(), run, door));
    follow::to_the_end(client, run, screen, signals, coordinator.manner, way.as_mut()).await
}
