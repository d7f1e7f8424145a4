//! The head of a Parquet file as a table. A process of its own reads the file, within limits: [`crate::cli::preview`].

use std::process::Stdio;
use std::time::Duration;

use maud::{Markup, html};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cli::plain;
use crate::cli::preview::Head;
use crate::cli::view::units;

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Most that is taken of what it says, in bytes.
const SAID_MAX: u64 = 8 << 20;
/// Files that are read at one time; others wait.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The first rows; `None` if they cannot be read.
pub(super) async fn head(file: &[u8]) -> Option<Head> {
    let _place = AT_ONCE.acquire().await.ok()?;
    timeout(LIMIT, read(file)).await.ok()?
}

async fn read(file: &[u8]) -> Option<Head> {
    // This very program, also after another one was put in its place; what it is told says nothing of us.
    let mut child = Command::new("/proc/self/exe")
        .arg("preview")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let (mut to, from) = (child.stdin.take()?, child.stdout.take()?);
    let mut said = Vec::new();
    let mut from = from.take(SAID_MAX);
    let tell = async move {
        // It may have ended before it has read all: then it says nothing either.
        let _ = to.write_all(file).await;
    };
    let ((), heard) = tokio::join!(tell, from.read_to_end(&mut said));
    heard.ok()?;
    let ended = child.wait().await.ok()?;
    ended.success().then(|| serde_json::from_slice(&said).ok())?
}

/// As a table.
pub(super) fn table(head: &Head) -> Markup {
    let rows = head.rows.len();
    html! {
        div.scroll tabindex="0" role="region" aria-label="first rows" { table.data {
            thead { tr { @for (name, kind) in &head.columns { th { (plain::line(name)) br; span.kind { (kind) } } } } }
            tbody { @for row in &head.rows { tr { @for cell in row {
                @match cell { Some(text) => { td { (plain::line(text)) } }, None => { td.none { "–" } } }
            } } } }
        } }
        p.note {
            "The first " (units::count(rows as u64, "row")) " of " (head.all_rows)
            @if head.columns.len() < head.all_columns { ", " (head.columns.len()) " of " (head.all_columns) " columns" }
            "."
        }
    }
}
