//! The JSON pages of Master and Worker.

use std::io;
use std::time::Duration;

use serde::Deserialize;

/// Asks one daemon's page.
pub(super) struct Page {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct MasterPage {
    aliveworkers: u32,
    status: String,
}

#[derive(Deserialize)]
struct WorkerPage {
    masterurl: Option<String>,
}

impl Page {
    pub(super) fn new(ui: &str) -> io::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            client,
            url: format!("{ui}/json/"),
        })
    }

    async fn get<T: for<'a> Deserialize<'a>>(&self) -> Option<T> {
        self.client.get(&self.url).send().await.ok()?.json().await.ok()
    }

    /// Workers alive; `None` while the Master does not answer or does not serve yet (it reads its recovery first).
    pub(super) async fn alive_workers(&self) -> Option<u32> {
        let page: MasterPage = self.get().await?;
        (page.status == "ALIVE").then_some(page.aliveworkers)
    }

    /// Whether the Worker is registered; `None` when it does not answer.
    pub(super) async fn registered(&self) -> Option<bool> {
        let page: WorkerPage = self.get().await?;
        Some(page.masterurl.is_some_and(|url| !url.is_empty()))
    }
}
