//! What people ask of a run whose coordinator they cannot reach: a small object in the store, which that one reads.

use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::store::{Created, Object, Replaced, Store, StoreError};
use mayfly_proto::RunId;
use serde::{Deserialize, Serialize};

use crate::driver::Message;
use crate::run::Cancel;

/// Largest wish that is read, in bytes.
const MAX: u64 = 4096;
/// How often others may ask at the same moment before this one is written over theirs.
const RACES: u32 = 8;

/// All that is asked. What was asked once stays asked: reading it twice does no harm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// To end the run.
    #[serde(default)]
    pub(super) cancel: Option<Cancel>,
    /// To let it go on until then.
    #[serde(default)]
    pub(super) until: Option<Timestamp>,
}

impl Wish {
    /// With what this message asks; nothing changes when it asks nothing that travels.
    pub(crate) fn with(self, message: &Message, now: Timestamp) -> Self {
        match message {
            Message::Cancel(level) => Self {
                cancel: self.cancel.max(Some(*level)),
                ..self
            },
            Message::Extend(from_now, _) => Self {
                until: now.checked_add(*from_now).ok().max(self.until),
                ..self
            },
            Message::Enrol(..)
            | Message::Sync(..)
            | Message::Done(_)
            | Message::LeaseTrouble(_)
            | Message::Left
            | Message::Looked { .. } => self,
        }
    }

    /// What is asked of this run so far.
    pub(crate) async fn read(store: &Store, run: &RunId) -> Result<Self, StoreError> {
        Ok(Self::of(
            store.get_capped(&layout::wish(run), MAX).await?.as_ref(),
        ))
    }

    fn of(found: Option<&Object>) -> Self {
        found
            .and_then(|object| serde_json::from_slice(&object.bytes).ok())
            .unwrap_or_default()
    }

    /// Makes the object, with nothing asked: to ask for what is not there needs a permission more.
    pub(crate) async fn prepare(store: &Store, run: &RunId) -> Result<(), StoreError> {
        store.put_new(&layout::wish(run), Self::default().bytes()).await?;
        Ok(())
    }

    /// Adds what this message asks to what others ask; everything that is asked then.
    pub(crate) async fn ask(store: &Store, run: &RunId, message: &Message) -> Result<Self, StoreError> {
        let key = layout::wish(run);
        let now = Timestamp::now();
        for _ in 0..RACES {
            let found = store.get_capped(&key, MAX).await?;
            let asked = Self::of(found.as_ref());
            let wish = asked.with(message, now);
            if wish == asked {
                return Ok(wish);
            }
            let written = match found {
                Some(object) => {
                    let replaced = store.replace(&key, wish.bytes(), &object.etag).await?;
                    matches!(replaced, Replaced::Yes(_))
                }
                None => matches!(store.put_new(&key, wish.bytes()).await?, Created::Yes(_)),
            };
            if written {
                return Ok(wish);
            }
        }
        let wish = Self::read(store, run).await?.with(message, now);
        store.put(&key, wish.bytes()).await?;
        Ok(wish)
    }

    fn bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).unwrap_or_default()
    }
}
