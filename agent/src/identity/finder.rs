//! Where the coordinator of a run is that lives on the fleet's own master: its record in the store says so.

use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreConfig};
use mayfly_proto::RunId;
use serde::Deserialize;

/// Largest record that is read, in bytes.
const RECORD_MAX: u64 = 4 << 20;

/// Of the record what a node needs.
#[derive(Deserialize)]
struct Record {
    run: RunId,
    coordinator: String,
}

/// Looks for one coordinator.
pub(super) struct Finder {
    store: Store,
    run: RunId,
}

impl Finder {
    pub(super) fn new(store: &StoreConfig, run: &RunId) -> Self {
        Self {
            store: Store::open(store),
            run: run.clone(),
        }
    }

    /// Its URL; `None` while there is none, or the store does not answer. That it is the right one, its certificate shows.
    pub(super) async fn find(&self) -> Option<String> {
        match self
            .store
            .get_capped(&layout::record(&self.run), RECORD_MAX)
            .await
        {
            Ok(object) => url(&object?.bytes, &self.run),
            Err(error) => {
                tracing::debug!(%error, "cannot look where the coordinator is");
                None
            }
        }
    }
}

fn url(record: &[u8], run: &RunId) -> Option<String> {
    let record: Record = serde_json::from_slice(record).ok()?;
    (record.run == *run && record.coordinator.starts_with("https://")).then_some(record.coordinator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_address_in_the_record_of_this_run_is_one() {
        let run: RunId = "iris-abcdefgh".parse().unwrap();
        let of = |text: &str| url(text.as_bytes(), &run);
        let record = r#"{"run":"iris-abcdefgh","coordinator":"https://10.0.0.1:7070","more":1}"#;
        assert_eq!(of(record).as_deref(), Some("https://10.0.0.1:7070"));
        for bad in [
            "",
            "{}",
            r#"{"run":"iris-abcdefgh","coordinator":""}"#,
            r#"{"run":"iris-abcdefgh","coordinator":"http://10.0.0.1:7070"}"#,
            r#"{"run":"other-abcdefgh","coordinator":"https://10.0.0.1:7070"}"#,
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
