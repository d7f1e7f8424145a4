//! What metadata says of the instance itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::imds::{Answer, Imds, ImdsError};
use serde::Deserialize;

const INSTANCE_ID: &str = "meta-data/instance-id";
const ZONE: &str = "meta-data/placement/availability-zone";
const REGION: &str = "meta-data/placement/region";
const LOCAL_IPV4: &str = "meta-data/local-ipv4";
const LIFE_CYCLE: &str = "meta-data/instance-life-cycle";
const DOCUMENT: &str = "dynamic/instance-identity/document";

/// The instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// `i-…`.
    pub(super) instance_id: String,
    /// Region, as `eu-central-1`.
    pub(super) region: String,
    /// Where the fleet reaches it.
    pub(super) address: Ipv4Addr,
    /// Whether it may be taken away at any time.
    pub(super) spot: bool,
    /// The time when it was asked: not by this machine's clock, if that can be helped.
    now: Timestamp,
}

/// Of the identity document what we need; AWS adds fields as it likes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    instance_id: String,
    region: String,
    pending_time: Timestamp,
}

impl Facts {
    pub(super) async fn read(imds: &Imds) -> Result<Self, ImdsError> {
        let instance_id = word(
            imds,
            INSTANCE_ID,
            "i- and 8 or 17 hexadecimal digits",
            is_instance,
        )
        .await?;
        let region = word(imds, REGION, "a region as eu-central-1", is_region).await?;
        let zone = word(imds, ZONE, "a zone as eu-central-1a", |zone| zone.len() <= 64).await?;
        if !zone.starts_with(region.as_str()) {
            return Err(ImdsError::not(ZONE, "a zone of the instance's region", &zone));
        }
        let address = word(imds, LOCAL_IPV4, "an IPv4 address", |text| {
            text.parse::<Ipv4Addr>().is_ok()
        })
        .await?;
        let address = address
            .parse()
            .map_err(|_| ImdsError::not(LOCAL_IPV4, "an IPv4 address", &address))?;
        let life = word(imds, LIFE_CYCLE, "a life cycle as spot or on-demand", |text| {
            text.len() <= 32
        })
        .await?;
        let answer = imds.need(DOCUMENT).await?;
        let document = document(&answer)?;
        if document.instance_id != instance_id || document.region != region {
            let found = format!("{} {}", document.instance_id, document.region);
            return Err(ImdsError::not(DOCUMENT, "of this instance and region", &found));
        }
        Ok(Self {
            now: now(&answer, document.pending_time),
            instance_id,
            region,
            address,
            spot: life == "spot",
        })
    }

    /// What is left of a run; `None` when nothing is.
    pub(super) fn left_until(&self, deadline: Timestamp) -> Option<Duration> {
        let left = Duration::try_from(deadline.duration_since(self.now)).ok()?;
        (left >= Duration::from_secs(1)).then_some(left)
    }
}

/// The clock of a machine that just booted may be wrong by hours. The answer's own date is AWS's; no moment of a
/// machine's life is before its launch.
fn now(answer: &Answer, launched: Timestamp) -> Timestamp {
    answer.date.unwrap_or_else(Timestamp::now).max(launched)
}

fn document(answer: &Answer) -> Result<Document, ImdsError> {
    serde_json::from_str(&answer.text)
        .map_err(|error| ImdsError::malformed(DOCUMENT, "an identity document", error.to_string()))
}

/// One line without its end.
async fn word(
    imds: &Imds,
    path: &str,
    wanted: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, ImdsError> {
    let answer = imds.need(path).await?;
    let word = answer.text.strip_suffix('\n').unwrap_or(&answer.text);
    if word.is_empty() || !word.bytes().all(|c| c.is_ascii_graphic()) || !fits(word) {
        return Err(ImdsError::not(path, wanted, &answer.text));
    }
    Ok(word.to_owned())
}

fn is_instance(id: &str) -> bool {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    matches!(digits.len(), 8 | 17) && digits.bytes().all(hex)
}

fn is_region(region: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    region.len() <= 32 && region.contains('-') && region.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_instances_are_told_from_others() {
        assert!(is_instance("i-0123456789abcdef0") && is_instance("i-deadbeef"));
        for bad in [
            "i-",
            "",
            "i-0123456789abcdef01",
            "i-0123456789abcdef",
            "i-DEADBEEF",
            "x-deadbeef",
            "i-dead beef",
        ] {
            assert!(!is_instance(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_left_is_counted_from_the_later_of_launch_and_answer() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let answer = |date: Option<&str>| Answer {
            text: String::new(),
            date: date.map(at),
        };
        let launched = at("2030-01-01T12:00:00Z");
        assert_eq!(
            now(&answer(Some("2030-01-01T12:01:00Z")), launched),
            at("2030-01-01T12:01:00Z")
        );
        assert_eq!(now(&answer(Some("2030-01-01T11:00:00Z")), launched), launched);
        let future = at("2200-01-01T00:00:00Z");
        assert_eq!(now(&answer(None), future), future);
        let facts = Facts {
            instance_id: String::new(),
            region: String::new(),
            address: Ipv4Addr::LOCALHOST,
            spot: false,
            now: launched,
        };
        assert_eq!(
            facts.left_until(at("2030-01-01T13:00:00Z")),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(facts.left_until(launched), None);
        assert_eq!(facts.left_until(at("2029-01-01T13:00:00Z")), None);
    }
}
