//! The agent's uploader by itself: `upload FOLDER PREFIX`, to the store that `AWS_…` and `MAYFLY_BUCKET` name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use mayfly_agent::upload::{self, Progress, Target};
use mayfly_kit::store::{Access, Store, StoreConfig};
use tokio::sync::watch;

/// Two threads for the tasks, as in the agent.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let folder = PathBuf::from(args.next().context("usage: upload FOLDER PREFIX")?);
    let prefix = args
        .next()
        .and_then(|p| p.into_string().ok())
        .context("usage: upload FOLDER PREFIX")?;
    let store = Store::open(&StoreConfig {
        endpoint: Some(variable("AWS_ENDPOINT_URL")?),
        bucket: variable("MAYFLY_BUCKET")?,
        prefix: String::new(),
        region: variable("AWS_REGION")?,
        access: Access::keys(variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?),
    });
    let target = Target {
        store,
        prefix,
        only_new: true,
        selection: Arc::default(),
    };
    let (progress, _) = watch::channel(Progress::default());
    let began = Instant::now();
    let uploaded = upload::folder(folder.as_path(), &target, &progress).await?;
    print(&serde_json::json!({
        "files": uploaded.files.len(),
        "bytes": uploaded.files.iter().map(|file| file.size).sum::<u64>(),
        "skipped": uploaded.skipped.len(),
        "secs": began.elapsed().as_secs_f64(),
        "retries": progress.borrow().ever.retries,
    }));
    Ok(())
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print(line: &serde_json::Value) {
    println!("{line}");
}
