//! `doctor`: whether a launch would work, and what to do where it would not.
//!
//! The checks are those that a launch makes itself, where it makes them: here all of them are made, and shown.

#[cfg(feature = "aws")]
mod aws;
mod elsewhere;
mod here;

use std::path::Path;

use mayfly_configs::{AdHoc, Job, ad_hoc};
use serde_json::json;

use super::consul::ConsulArgs;
use super::failure::{Failure, USAGE};
use super::jobs::{self, Found};
use super::launch::{Cloud, key_value};
use super::remote::Remote;
use super::view::Paint;
use super::{home, out, plain};
use crate::check::{Check, Checks, Verdict};
use crate::record::SCHEMA;
use crate::source::{self, Source};

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator doctor                                   this machine
  coordinator doctor jobs.yml daily                    the same, for this job
  coordinator doctor daily --on aws --network default  an account of AWS
  coordinator doctor daily --on aws --config serve.yml the same, with the settings of a server
  coordinator doctor daily --coordinator URL           what the coordinator there finds

Exit codes: 0 nothing stands in the way of a launch, 2 a problem was found.")]
pub(crate) struct Flags {
    /// A job file, a job, or both
    #[arg(num_args = 0..=2, value_names = ["FILE", "JOB"])]
    named: Vec<String>,
    /// Lay a value over the job, such as workers.count=8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Where it would run [default: this machine, or what the coordinator has first]
    #[arg(long, value_enum, value_name = "CLOUD")]
    on: Option<Cloud>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: aws::Whereabouts,
    /// One JSON object: {schema, ok, checks: [{name, verdict, found, advice}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// What would be launched.
struct Subject {
    job: Job,
    /// Where its code is looked for; `None` where no job is named.
    found: Option<Found>,
}

impl Subject {
    fn of(flags: &Flags) -> Result<Self, Failure> {
        if flags.named.is_empty() {
            // Any job: the sizes of the defaults.
            let any = AdHoc {
                entry: "main.py".to_owned(),
                sets: flags.sets.clone(),
                ..AdHoc::default()
            };
            let job = ad_hoc(&any, &|_| None)?;
            return Ok(Self { job, found: None });
        }
        let found = jobs::of_file(&flags.named, &flags.sets, &home::current()?)?;
        let job = found.job.clone();
        Ok(Self {
            job,
            found: Some(found),
        })
    }
}

/// Looks at everything and shows it.
///
/// # Errors
/// The job is none, or the settings are wrong.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let subject = Subject::of(flags)?;
    let mut checks = Checks::default();
    checks.0.push(here::git().await);
    let code = code(&subject, &mut checks).await?;
    checks.0.push(elsewhere::consul(&flags.consul).await);
    let asked = elsewhere::coordinator(flags, &subject.job, code.as_ref(), &mut checks).await;
    match (asked, flags.on) {
        // It has made the checks of its cloud itself.
        (true, _) => {}
        (false, Some(Cloud::Aws)) => on_aws(flags, &subject.job, &mut checks).await?,
        (false, Some(Cloud::Local) | None) => here::machine(&subject.job, home, &mut checks).await,
    }
    show(flags.json, &checks, paint)
}

#[cfg(feature = "aws")]
async fn on_aws(flags: &Flags, job: &Job, checks: &mut Checks) -> Result<(), Failure> {
    aws::examine(flags, job, checks).await
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn on_aws(_flags: &Flags, _job: &Job, checks: &mut Checks) -> Result<(), Failure> {
    let found = "this program was built without the feature `aws`";
    checks.0.push(Check::of(
        "credentials",
        Verdict::Problem,
        found,
        "build it with its default features",
    ));
    Ok(())
}

/// Whether the repository is there, with what the job names in it.
async fn code(subject: &Subject, checks: &mut Checks) -> Result<Option<Source>, Failure> {
    const NAME: &str = "code";
    let Some(found) = &subject.found else {
        checks.0.push(Check::skipped(NAME, "no job is named"));
        return Ok(None);
    };
    let scratch = home::scratch("mayfly-")?;
    let options = source::Options {
        base: &found.base,
        path_from: found.path_from,
        dirty: false,
        scratch: scratch.path(),
    };
    let resolved = source::resolve(&subject.job.code, options)
        .await
        .map_err(Failure::from);
    let resolved = resolved.map_err(|failure| failure.text());
    let commit = |code: &Source| {
        let short: String = code.commit.chars().take(10).collect();
        format!("{} at {short}", code.repo)
    };
    Ok(checks.take(NAME, resolved, commit, ""))
}

fn show(as_json: bool, checks: &Checks, paint: Paint) -> Result<u8, Failure> {
    let worst = checks.worst();
    if as_json {
        let ok = worst != Verdict::Problem;
        out::json(&json!({ "schema": SCHEMA, "ok": ok, "checks": checks.0 }))?;
    } else {
        lines(&checks.0, paint)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(if worst == Verdict::Problem { USAGE } else { 0 })
}

/// A line for each check, and one for what to do.
fn lines(checks: &[Check], paint: Paint) -> Vec<String> {
    let widest = checks
        .iter()
        .map(|check| check.name.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        let word = format!("{:<11}", check.verdict.word());
        let word = match check.verdict {
            Verdict::Ok => paint.good(&word),
            Verdict::NotChecked => paint.dim(&word),
            Verdict::Warning => paint.warn(&word),
            Verdict::Problem => paint.bad(&word),
        };
        let (name, found) = (plain::line(&check.name), plain::line(&check.found));
        lines.push(format!("{word}  {name:<widest$}  {found}"));
        if !check.advice.is_empty() {
            let gap = " ".repeat(11 + 2 + widest + 2);
            lines.push(format!("{gap}→ {}", plain::line(&check.advice)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_line_and_what_to_do_another() {
        let checks = [
            Check::ok("git", "2.47.3"),
            Check::of("disk space", Verdict::Warning, "1 GiB free", "make room"),
            Check::skipped("consul", "none\u{1b}[2J is named"),
        ];
        let shown = lines(&checks, Paint { on: false });
        assert_eq!(
            shown[..3],
            [
                "ok           git         2.47.3",
                "warning      disk space  1 GiB free",
                "                         → make room",
            ]
        );
        assert!(shown[3].starts_with("not checked  consul      none") && !shown[3].contains('\u{1b}'));
    }
}
