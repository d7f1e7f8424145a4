//! What is looked at before a launch, one thing at a time: a launch stops at the first problem, `doctor` shows all of it.

use std::borrow::Cow;
use std::fmt::Display;

use jiff::SignedDuration;
use mayfly_kit::error::chain;
use mayfly_kit::store::Store;
use mayfly_proto::v1;
use serde::Serialize;

/// A clock that is further off than this may be refused soon.
const SKEW_WARNING: SignedDuration = SignedDuration::from_mins(2);
/// AWS refuses signatures that are older than this (IAM user guide, "Signature Version 4"), and so a lease from such a clock.
const SKEW_PROBLEM: SignedDuration = SignedDuration::from_mins(5);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be asked, or there is nothing to ask.
    NotChecked,
    /// A launch may work; somebody should look at it.
    Warning,
    /// A launch will not work.
    Problem,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, in a word or two.
    pub name: Cow<'static, str>,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub advice: String,
}

impl Check {
    /// As it should be.
    #[must_use]
    pub fn ok(name: &'static str, found: impl Display) -> Self {
        Self::of(name, Verdict::Ok, found, "")
    }

    /// It could not be asked.
    #[must_use]
    pub fn skipped(name: &'static str, why: impl Display) -> Self {
        Self::of(name, Verdict::NotChecked, why, "")
    }

    /// Any of them.
    #[must_use]
    pub fn of(name: &'static str, verdict: Verdict, found: impl Display, advice: &str) -> Self {
        Self {
            name: name.into(),
            verdict,
            found: found.to_string(),
            advice: advice.to_owned(),
        }
    }
}

impl From<Verdict> for v1::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok => Self::Ok,
            Verdict::NotChecked => Self::NotChecked,
            Verdict::Warning => Self::Warning,
            Verdict::Problem => Self::Problem,
        }
    }
}

impl From<Check> for v1::Check {
    fn from(check: Check) -> Self {
        Self {
            name: check.name.into_owned(),
            verdict: v1::Verdict::from(check.verdict).into(),
            found: check.found,
            advice: check.advice,
        }
    }
}

impl From<v1::Check> for Check {
    fn from(check: v1::Check) -> Self {
        let verdict = match check.verdict() {
            v1::Verdict::Ok => Verdict::Ok,
            v1::Verdict::Warning => Verdict::Warning,
            v1::Verdict::Problem => Verdict::Problem,
            v1::Verdict::NotChecked | v1::Verdict::Unspecified => Verdict::NotChecked,
        };
        Self {
            name: check.name.into(),
            verdict,
            found: check.found,
            advice: check.advice,
        }
    }
}

/// What was looked at so far, in order.
#[derive(Debug, Clone, Default)]
pub struct Checks(pub Vec<Check>);

impl Checks {
    /// Notes how something went, and hands on what it gave.
    pub fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
        found: impl FnOnce(&T) -> String,
        advice: &str,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.0.push(Check::ok(name, found(&value)));
                Some(value)
            }
            Err(error) => {
                self.0.push(Check::of(name, Verdict::Problem, error, advice));
                None
            }
        }
    }

    /// Notes what could not be looked at, and why.
    pub fn skip_all(&mut self, names: &[&'static str], why: &str) {
        self.0.extend(names.iter().map(|name| Check::skipped(name, why)));
    }

    /// The worst of them.
    #[must_use]
    pub fn worst(&self) -> Verdict {
        let all = self.0.iter().map(|check| check.verdict);
        all.max().unwrap_or(Verdict::Ok)
    }
}

/// Object that is written to see whether it can be.
const PROBE: &str = "runs/.doctor";

/// Whether the store takes an object. Not everybody who may write may delete: then the probe stays, and is written over.
pub async fn store(store: &Store) -> Check {
    const NAME: &str = "store";
    let place = store.s3_url("");
    if let Err(error) = store.put(PROBE, "probe").await {
        let found = format!("{place} cannot be written: {}", chain(&error));
        return Check::of(
            NAME,
            Verdict::Problem,
            found,
            "see MAYFLY_STORE, its keys, and configs/iam/launcher.json",
        );
    }
    match store.delete(PROBE).await {
        Ok(()) => Check::ok(NAME, format!("{place} can be written")),
        Err(_) => Check::ok(NAME, format!("{place} can be written; the probe {PROBE} stays")),
    }
}

/// Whether this clock agrees with another one; `ahead` is by how much this one is ahead.
#[must_use]
pub fn clock(name: &'static str, whose: &str, ahead: SignedDuration) -> Check {
    let off = ahead.abs();
    let verdict = match off {
        off if off >= SKEW_PROBLEM => Verdict::Problem,
        off if off >= SKEW_WARNING => Verdict::Warning,
        _ => return Check::ok(name, format!("within {} s of {whose}", off.as_secs().max(1))),
    };
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    Check::of(
        name,
        verdict,
        format!("{} s {side} {whose}", off.as_secs()),
        "set the clock: `timedatectl set-ntp true`, or start chrony",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_warned_of_at_two_minutes_and_refused_at_five() {
        let verdict = |secs| clock("clock", "AWS", SignedDuration::from_secs(secs)).verdict;
        for good in [0, 1, 119, -119] {
            assert_eq!(verdict(good), Verdict::Ok, "{good}");
        }
        for odd in [120, -120, 299] {
            assert_eq!(verdict(odd), Verdict::Warning, "{odd}");
        }
        for bad in [300, -300, 86_400] {
            assert_eq!(verdict(bad), Verdict::Problem, "{bad}");
        }
        let behind = clock("clock", "AWS", SignedDuration::from_secs(-400));
        assert_eq!(behind.found, "400 s behind AWS");
    }

    #[test]
    fn the_worst_verdict_is_that_of_all() {
        let mut checks = Checks::default();
        assert_eq!(checks.worst(), Verdict::Ok);
        assert_eq!(
            checks.take("a", Ok::<_, String>(1), |n| format!("{n} found"), "mend it"),
            Some(1)
        );
        checks.0.push(Check::skipped("b", "nobody to ask"));
        assert_eq!(checks.worst(), Verdict::NotChecked);
        assert_eq!(
            checks.take("c", Err::<u8, _>("broken"), |_| String::new(), "mend it"),
            None
        );
        assert_eq!(checks.worst(), Verdict::Problem);
        assert_eq!(checks.0[2].advice, "mend it");
    }
}
