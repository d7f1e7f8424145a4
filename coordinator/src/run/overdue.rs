//! A release that does not come to its end: people are told. Machines are given back all the same, for as long as it takes.

use std::time::Duration;

use super::{Run, Stage};

/// What is told to end is gone within a minute or two; whoever pays for what is not wants to hear of it.
const RELEASE_LONG: Duration = Duration::from_secs(300);
/// Nodes that are named.
const NAMED: usize = 3;

impl Run {
    /// Whether its release has taken so long that people were told.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.overdue
    }

    pub(super) fn notice_overdue(&mut self, now: Duration) {
        let since = self.marks.last().map_or(Duration::ZERO, |mark| mark.at);
        let releasing = self.stage == (Stage::Releasing { gone: false });
        if releasing && !self.overdue && now.saturating_sub(since) >= RELEASE_LONG {
            self.overdue = true;
            self.notice(format!(
                "its machines were told to end {} minutes ago, and {}: they are told again until none is left",
                RELEASE_LONG.as_secs() / 60,
                self.still_there()
            ));
        }
    }

    /// What is known of the machines that have not been seen to end.
    fn still_there(&self) -> String {
        let left = self.nodes.values().filter(|node| node.gone_at.is_none());
        let names: Vec<&str> = left.map(|node| node.id.as_str()).collect();
        let more = names.len().saturating_sub(NAMED);
        let named = names.get(..NAMED).unwrap_or(&names).join(", ");
        match (names.is_empty(), more) {
            (true, _) => "not all are seen to have ended".to_owned(),
            (false, 0) => format!("{named} not seen to have ended"),
            (false, more) => format!("{named} and {more} more not seen to have ended"),
        }
    }
}
