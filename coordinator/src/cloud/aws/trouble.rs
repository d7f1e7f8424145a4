//! What to do when a group does not get its machines: no I/O.

use mayfly_aws::Kind;
use mayfly_aws::fleet::Trouble;

/// What is known of a group that lacks machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    /// Machines that are up.
    pub(super) up: u32,
    /// Machines that suffice.
    pub(super) enough: u32,
    /// Zones that it may launch in now.
    pub(super) zones_open: usize,
    /// Zones that there are.
    pub(super) zones: usize,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It goes on trying.
    Wait,
    /// Let it launch in one zone more.
    OpenZone,
    /// It will not work, however often it is tried.
    GiveUp,
}

/// What to do about this trouble.
pub(super) fn answer(trouble: &Trouble, lack: Lack) -> Answer {
    if lack.up >= lack.enough {
        return Answer::Wait;
    }
    let another = if lack.zones_open < lack.zones {
        Answer::OpenZone
    } else {
        Answer::Wait
    };
    match trouble.kind {
        Kind::Capacity => another,
        // A type may be missing in one zone alone.
        Kind::Unsupported if lack.zones_open < lack.zones => Answer::OpenZone,
        Kind::Quota
        | Kind::Permission
        | Kind::Credentials
        | Kind::Unsupported
        | Kind::Invalid
        | Kind::NotFound => Answer::GiveUp,
        Kind::Throttled | Kind::Transient | Kind::Exists | Kind::InUse => Answer::Wait,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn ask(kind: Kind, up: u32, zones_open: usize) -> Answer {
        let trouble = Trouble {
            kind,
            said: String::new(),
            at: Timestamp::UNIX_EPOCH,
        };
        let lack = Lack {
            up,
            enough: 2,
            zones_open,
            zones: 3,
        };
        answer(&trouble, lack)
    }

    #[test]
    fn without_capacity_the_next_zone_is_tried_until_there_is_none() {
        assert_eq!(ask(Kind::Capacity, 0, 1), Answer::OpenZone);
        assert_eq!(ask(Kind::Capacity, 1, 2), Answer::OpenZone);
        assert_eq!(ask(Kind::Capacity, 1, 3), Answer::Wait);
    }

    #[test]
    fn what_suffices_is_left_alone() {
        assert_eq!(ask(Kind::Capacity, 2, 1), Answer::Wait);
        assert_eq!(ask(Kind::Quota, 2, 1), Answer::Wait);
    }

    #[test]
    fn what_is_permanent_is_given_up_at_once() {
        for kind in [Kind::Quota, Kind::Permission, Kind::Credentials, Kind::Invalid] {
            assert_eq!(ask(kind, 0, 1), Answer::GiveUp, "{kind:?}");
        }
        assert_eq!(ask(Kind::Unsupported, 0, 1), Answer::OpenZone);
        assert_eq!(ask(Kind::Unsupported, 0, 3), Answer::GiveUp);
        assert_eq!(ask(Kind::Throttled, 0, 1), Answer::Wait);
    }
}
