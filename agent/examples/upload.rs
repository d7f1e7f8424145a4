//! Uploads a folder as a node would, for measuring: `upload FOLDER ENDPOINT BUCKET PREFIX`, keys from the environment.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use mayfly_agent::upload::{self, Progress, Target};
use mayfly_kit::store::{Access, Store, StoreConfig};
use tokio::sync::watch;

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: upload FOLDER ENDPOINT BUCKET PREFIX");
    let folder = PathBuf::from(next()?);
    let config = StoreConfig {
        endpoint: Some(next()?),
        bucket: next()?,
        prefix: next()?,
        region: std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into()),
        access: Access::Keys {
            access_key: std::env::var("AWS_ACCESS_KEY_ID").context("AWS_ACCESS_KEY_ID")?,
            secret_key: std::env::var("AWS_SECRET_ACCESS_KEY").context("AWS_SECRET_ACCESS_KEY")?,
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let began = Instant::now();
    let done = runtime.block_on(async {
        let target = Target {
            store: Store::open(&config),
            prefix: String::new(),
            only_new: true,
        };
        upload::folder(&folder, &target, &watch::Sender::new(Progress::default())).await
    })?;
    println!(
        "{} files in {:.2} s",
        done.files.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
