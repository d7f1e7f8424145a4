//! From a job to a run that is launched.

use std::path::Path;

use mayfly_configs::{Job, RelPath, Repo};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_proto::v1::PlanReply;

use super::coordinator::Coordinator;
use super::flags::{Cloud, Flags};
use super::{bring, inputs, plan, request, secrets};
use crate::cli::failure::Failure;
use crate::cli::follow::Manner;
use crate::cli::jobs::Found;
use crate::cli::view::Screen;
use crate::cli::{ask, browser, home};
use crate::embedded::Embedded;
use crate::record::Outcome;
use crate::source::{self, Source};
use crate::upload;

/// A run that is launched.
pub(super) struct Begun {
    pub(super) coordinator: Coordinator,
    pub(super) run: String,
    /// Whether this request made it; the same one may have done so before.
    pub(super) is_new: bool,
}

/// Resolves what the job names, asks where it costs money, and launches it.
///
/// # Errors
/// Something is not there or not possible, or the person says no.
pub(super) async fn begin(
    flags: &Flags,
    found: Found,
    home: &Path,
    screen: &mut Screen,
) -> Result<Begun, Failure> {
    let Found {
        mut job,
        base,
        path_from,
        holder,
        warnings,
    } = found;
    let scratch = home::scratch("mayfly-")?;
    screen.doing("resolving the code")?;
    let options = source::Options {
        base: &base,
        path_from,
        dirty: flags.dirty,
        scratch: scratch.path(),
    };
    secrets::resolve(&mut job, &base, &flags.consul).await?;
    let code = source::resolve(&job.code, options).await?;
    place(&mut job, &base, &code)?;
    for line in plan::lines(
        &job,
        &code,
        holder.as_deref(),
        flags.dirty,
        flags.on == Some(Cloud::Aws),
    ) {
        screen.note(&line)?;
    }
    let warnings = warnings.iter().map(ToString::to_string);
    for warning in warnings.chain(code.warnings.iter().cloned()) {
        screen.note(&format!("warning: {warning}"))?;
    }
    let mut coordinator = Coordinator::open(flags, &job, home, screen).await?;
    let store = coordinator
        .embedded
        .as_ref()
        .map(|embedded| &embedded.store.store);
    inputs::bring(&mut job, &base, store).await?;
    let mut request = request::request(flags, &job, &code)?;
    if coordinator.manner == Manner::Guest {
        let plan = request::planned(&coordinator.client, &request).await?;
        agree(flags, plan.as_ref(), screen).await?;
    }
    request.bundle_key = store_bundle(&mut coordinator, &code).await?;
    let (run, is_new) = request::launch(&coordinator.client, &request).await?;
    if let Some(embedded) = &coordinator.embedded {
        show_page(flags, embedded, &run, home, screen)?;
    }
    Ok(Begun {
        coordinator,
        run,
        is_new,
    })
}

/// Says where the run's page is as long as this command lives.
fn show_page(
    flags: &Flags,
    embedded: &Embedded,
    run: &str,
    home: &Path,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let address = embedded.entrance(&format!("/runs/{run}"));
    if flags.open {
        browser::show(home, &address);
    }
    screen.note(&format!("page     {address}"))
}

/// Shows what a launch costs, and asks whether it shall be where there is somebody to ask.
async fn agree(flags: &Flags, plan: Option<&PlanReply>, screen: &mut Screen) -> Result<(), Failure> {
    let Some(plan) = plan else {
        return screen.note("price    not known: this coordinator is older and does not tell");
    };
    let lines = plan::price(plan);
    for line in &lines {
        screen.note(line)?;
    }
    if lines.is_empty() || flags.yes || flags.json || !ask::somebody() {
        return Ok(());
    }
    screen.pause();
    let agreed = ask::yes("launch it?").await;
    screen.resume();
    if agreed {
        return Ok(());
    }
    Err(Failure {
        code: Outcome::Cancelled.exit_code(),
        message: "nothing has been launched".to_owned(),
    })
}

/// The job as it will be in the record: its folder from the top of the repository, the repository in full.
fn place(job: &mut Job, base: &Path, code: &Source) -> Result<(), Failure> {
    let path = if code.path.is_empty() { "." } else { &code.path };
    job.code.path =
        RelPath::new(path).map_err(|e| Failure::usage(format!("the job's folder {}", e.message)))?;
    if let Repo::Folder(folder) = &job.code.repo {
        let folder = base.join(folder);
        job.code.repo = Repo::Folder(folder.canonicalize().unwrap_or(folder));
    }
    Ok(())
}

/// Puts the bundle where the nodes will find it; the same commit is stored once.
async fn store_bundle(coordinator: &mut Coordinator, code: &Source) -> Result<String, Failure> {
    let Some(bundle) = &code.bundle else {
        return Ok(String::new());
    };
    let key = layout::bundle(&code.commit);
    match &coordinator.embedded {
        None => return bring::bundle(&mut coordinator.client, bundle, &code.commit).await,
        Some(embedded) if embedded.store.store.size(&key).await?.is_none() => {
            crash::around(
                Point::BundlePut,
                upload::file(&embedded.store.store, bundle, &key),
            )
            .await?;
        }
        Some(_) => {}
    }
    Ok(key)
}
