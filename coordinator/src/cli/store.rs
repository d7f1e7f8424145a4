//! `store`: the embedded S3 store by itself.

use std::path::Path;

use mayfly_kit::shutdown;
use serde_json::json;

use super::args::Listen;
use super::failure::Failure;
use super::{out, signals};
use crate::embedded;
use crate::home::Home;
use crate::record::SCHEMA;

/// Flags of `store`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator store serve                         prints what to export, and serves until Ctrl-C
  coordinator store serve --listen 127.0.0.1:9000
  aws s3 ls s3://mayfly/runs/                     in another terminal, with that exported")]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Serve the store in the foreground and print what S3 programs need to reach it
    Serve {
        #[command(flatten)]
        listen: Listen,
        /// One JSON object: {schema, endpoint, bucket, folder, access_key, secret_key}
        #[arg(long)]
        json: bool,
    },
}

/// Serves until it is told to stop.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let Verb::Serve { listen, json } = &flags.verb;
    let mut signals = signals::counting()?;
    let home = Home::open(home)?;
    let open = embedded::open_store_at(&home, listen.or_free()).await?;
    let keys = home.keys()?;
    let endpoint = open.config.endpoint.clone().unwrap_or_default();
    let folder = open.folder.clone().unwrap_or_default();
    if *json {
        out::json(&json!({
            "schema": SCHEMA, "endpoint": endpoint, "bucket": open.store.bucket(), "folder": folder,
            "access_key": keys.access_key, "secret_key": keys.secret_key,
        }))?;
    } else {
        out::line(&format!("export AWS_ENDPOINT_URL={}", endpoint))?;
        out::line(&format!("export AWS_ACCESS_KEY_ID={}", keys.access_key))?;
        out::line(&format!("export AWS_SECRET_ACCESS_KEY={}", keys.secret_key))?;
        out::line(&format!("export AWS_REGION={}", open.config.region))?;
        out::line(&format!(
            "# {} is the folder {}",
            open.store.s3_url(""),
            folder.display()
        ))?;
    }
    shutdown::reached(&mut signals.level, 1).await;
    open.close().await;
    Ok(0)
}
