//! Listings, in pages of a thousand.

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::{Entry, Store, StoreError};

/// Where a listing is.
enum Page {
    First,
    Next(String),
    Done,
}

impl Store {
    /// All objects below a prefix, in order of key.
    pub fn list(&self, prefix: &str) -> impl Stream<Item = Result<Entry, StoreError>> + Send + use<> {
        let (store, full) = (self.clone(), self.full(prefix));
        let pages = stream::try_unfold(Page::First, move |page| {
            let (store, full) = (store.clone(), full.clone());
            async move {
                let token = match page {
                    Page::First => None,
                    Page::Next(token) => Some(token),
                    Page::Done => return Ok(None),
                };
                let (entries, _, next) = store.page(&full, token, None).await?;
                Ok::<_, StoreError>(Some((entries, next)))
            }
        });
        pages
            .map_ok(|entries| stream::iter(entries).map(Ok))
            .try_flatten()
    }

    /// The first `max` objects below a prefix, in order of key.
    ///
    /// # Errors
    /// A request failed.
    pub async fn list_all(&self, prefix: &str, max: usize) -> Result<Vec<Entry>, StoreError> {
        self.list(prefix).take(max).try_collect().await
    }

    /// Names of the folders right below a prefix that ends in `/` (or is empty), without their last `/`; at most
    /// `max`.
    ///
    /// # Errors
    /// A request failed.
    pub async fn list_folders(&self, prefix: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let full = self.full(prefix);
        let (mut folders, mut token) = (Vec::new(), None);
        loop {
            let (_, mut more, next) = self.page(&full, token.take(), Some("/")).await?;
            folders.append(&mut more);
            folders.truncate(max);
            match next {
                Page::Next(next) if folders.len() < max => token = Some(next),
                Page::First | Page::Next(_) | Page::Done => return Ok(folders),
            }
        }
    }

    async fn page(
        &self,
        full: &str,
        token: Option<String>,
        delimiter: Option<&str>,
    ) -> Result<(Vec<Entry>, Vec<String>, Page), StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(full);
        let request = request
            .set_continuation_token(token)
            .set_delimiter(delimiter.map(str::to_owned));
        let reply = request.send().await.map_err(|e| self.at("list", full).sdk(e))?;
        let next = match reply.next_continuation_token {
            Some(token) if reply.is_truncated == Some(true) => Page::Next(token),
            _ => Page::Done,
        };
        let objects = reply.contents.unwrap_or_default();
        let entries = objects.into_iter().filter_map(|o| {
            let key = o.key?.strip_prefix(&self.prefix)?.to_owned();
            let size = o.size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            Some(Entry {
                key,
                size,
                etag: o.e_tag.unwrap_or_default(),
            })
        });
        let folders = reply
            .common_prefixes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|p| {
                let name = p.prefix?;
                Some(name.strip_prefix(full)?.trim_end_matches('/').to_owned())
            });
        Ok((entries.collect(), folders.collect(), next))
    }
}
