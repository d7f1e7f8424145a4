//! When to ask again to be taken in.

use std::time::Duration;

use mayfly_kit::backoff::Backoff;
use mayfly_proto::RETRY_PUSHBACK;
use tonic::Status;

use super::is_permanent;

/// Longest that a coordinator may put a node off.
const PUSHBACK_MAX: Duration = Duration::from_secs(10);

/// The wait after this answer; `None` when asking again cannot help, or was tried for long enough. A thousand nodes that a
/// coordinator puts off by the same time do not come back at the same time: each adds its own wait to it.
pub(super) fn after<R: FnMut() -> u64>(status: &Status, waits: &mut Backoff<R>) -> Option<Duration> {
    if is_permanent(status) {
        return None;
    }
    Some(waits.next()? + pushback(status))
}

/// How long the coordinator asks to be left alone; nothing where it says nothing that makes sense.
fn pushback(status: &Status) -> Duration {
    let hint = status.metadata().get(RETRY_PUSHBACK);
    let millis = hint.and_then(|hint| hint.to_str().ok()?.parse().ok());
    millis
        .map_or(Duration::ZERO, Duration::from_millis)
        .min(PUSHBACK_MAX)
}

#[cfg(test)]
mod tests {
    use mayfly_kit::backoff::Policy;
    use tonic::Code;
    use tonic::metadata::MetadataMap;

    use super::*;

    const POLICY: Policy = Policy {
        base: Duration::from_millis(100),
        cap: Duration::from_secs(2),
        budget: Duration::from_secs(60),
    };

    fn full(hint: Option<&'static str>) -> Status {
        let mut metadata = MetadataMap::new();
        if let Some(hint) = hint {
            metadata.insert(RETRY_PUSHBACK, hint.parse().unwrap());
        }
        Status::with_metadata(Code::ResourceExhausted, "full", metadata)
    }

    #[test]
    fn who_is_put_off_comes_again_no_sooner_and_not_with_the_others() {
        let wait = |random: u64| {
            let mut waits = Backoff::new(POLICY, move || random);
            after(&full(Some("1000")), &mut waits).expect("it comes again")
        };
        let (one, other) = (wait(3), wait(150));
        assert!(one >= Duration::from_secs(1) && other >= Duration::from_secs(1));
        assert_ne!(one, other);
    }

    #[test]
    fn nobody_is_put_off_for_ever() {
        let mut waits = Backoff::new(POLICY, || 0);
        let longest = PUSHBACK_MAX + POLICY.base;
        assert_eq!(
            after(&full(Some("18446744073709551615")), &mut waits),
            Some(longest)
        );
        for nonsense in [None, Some(""), Some("-1"), Some("soon"), Some("1e9")] {
            assert_eq!(
                after(&full(nonsense), &mut waits),
                Some(POLICY.base),
                "{nonsense:?}"
            );
        }
        let given_up = std::iter::repeat_with(|| after(&full(None), &mut waits)).take(1_000);
        assert!(given_up.into_iter().any(|wait| wait.is_none()));
    }

    #[test]
    fn a_no_for_good_is_not_asked_again() {
        let mut waits = Backoff::new(POLICY, || 0);
        assert_eq!(after(&Status::not_found("no such run"), &mut waits), None);
    }
}
