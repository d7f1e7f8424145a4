//! The coordinator on a master hears what people ask of its run through the store.

use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::store::Store;
use mayfly_proto::RunId;
use tokio::sync::{mpsc, oneshot};

use super::wish::Wish;
use crate::driver::Message;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// Passes on what is asked, until the owner of the run is gone.
pub(super) async fn listen(store: Store, run: RunId, messages: mpsc::Sender<Message>) {
    let mut heard = Wish::default();
    while !messages.is_closed() {
        match Wish::read(&store, &run).await {
            Ok(wish) => {
                for message in news(wish, heard, Timestamp::now()) {
                    tracing::info!(%run, ?message, "asked in the store");
                    // Its owner is gone: the loop ends.
                    let _gone = messages.send(message).await;
                }
                heard = wish;
            }
            Err(error) => tracing::debug!(%run, %error, "cannot see what is asked; trying again"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The messages that say what is asked here and was not asked before.
fn news(asked: Wish, before: Wish, now: Timestamp) -> Vec<Message> {
    let cancel = asked.cancel.filter(|_| asked.cancel > before.cancel);
    let until = asked.until.filter(|_| asked.until > before.until);
    let from_now = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    let cancel = cancel.map(Message::Cancel);
    // Whoever asked looks into the record.
    let extend = from_now.map(|from_now| Message::Extend(from_now, oneshot::channel().0));
    cancel.into_iter().chain(extend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Cancel;

    #[test]
    fn a_wish_only_grows_and_is_heard_once() {
        let now = Timestamp::UNIX_EPOCH;
        let first = Wish::default().with(&Message::Cancel(Cancel::Graceful), now);
        let more = first.with(&Message::Cancel(Cancel::Fast), now);
        assert_eq!(more.with(&Message::Cancel(Cancel::Graceful), now), more);
        assert!(matches!(
            news(first, Wish::default(), now).as_slice(),
            [Message::Cancel(Cancel::Graceful)]
        ));
        assert!(matches!(
            news(more, first, now).as_slice(),
            [Message::Cancel(Cancel::Fast)]
        ));
        assert!(news(more, more, now).is_empty());
        let hour = Duration::from_secs(3600);
        let longer = more.with(&Message::Extend(hour, oneshot::channel().0), now);
        assert!(
            matches!(news(longer, more, now).as_slice(), [Message::Extend(from_now, _)] if *from_now == hour)
        );
        let text = serde_json::to_string(&longer).unwrap();
        assert_eq!(text, r#"{"cancel":"fast","until":"1970-01-01T01:00:00Z"}"#);
    }
}
