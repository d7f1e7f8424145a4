//! Numbers with units: whole numbers, durations, sizes, money. Strict: what could be read in two ways is refused.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::diag::Problem;
use crate::text::quote;

/// A whole number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secs(pub u64);

impl Secs {
    /// The same as a [`Duration`].
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Secs {
    type Err = Problem;

    /// As it is written in a job file.
    fn from_str(text: &str) -> Result<Self, Problem> {
        duration(text)
    }
}

impl fmt::Display for Secs {
    /// As it would be written in a job file: `1h30m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, secs) in DURATION_UNITS {
            if rest >= secs {
                write!(f, "{}{unit}", rest / secs)?;
                rest %= secs;
            }
        }
        Ok(())
    }
}

const DURATION_UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const DURATION_HELP: &str = "write a whole number with a unit: 90s, 5m, 1h30m, 2d";
const SIZE_HELP: &str = "write a whole number with a unit: 512MiB, 4GiB";
const MONEY_HELP: &str = "write US dollars: \"$5\" or \"$0.50\"";

/// A whole number in strict decimal: no sign, leading zero, separator, fraction or other base.
pub(crate) fn whole(text: &str) -> Result<u64, Problem> {
    let plain = |why: String| Err(Problem::new(why).help("write a whole number in plain digits, such as 4"));
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return plain(format!(
                "is {}: a leading zero could mean another base",
                quote(text)
            ));
        }
        return match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => plain(format!("is {}, which is too large", quote(text))),
        };
    }
    if text.strip_prefix('-').is_some_and(|rest| whole(rest).is_ok()) {
        return plain(format!("is {}, which is negative", quote(text)));
    }
    plain(format!("is {}, which is not a whole number", quote(text)))
}

/// A duration: whole numbers with units from large to small.
pub(crate) fn duration(text: &str) -> Result<Secs, Problem> {
    let bad = |why: &str| Problem::new(format!("is {}, {why}", quote(text))).help(DURATION_HELP);
    if text.starts_with('-') {
        return Err(bad("which is negative"));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad("which has no unit"));
    }
    let mut units = DURATION_UNITS.iter();
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let (_, secs) = units
            .find(|(unit, _)| *unit == c)
            .ok_or_else(|| bad("which is not a duration"))?;
        if digits.is_empty() {
            return Err(bad("which is not a duration"));
        }
        let number: Option<u64> = digits.parse().ok();
        let sum = number
            .and_then(|n| n.checked_mul(*secs))
            .and_then(|n| n.checked_add(total));
        total = sum.ok_or_else(|| bad("which is too long"))?;
        digits.clear();
    }
    if digits.is_empty() {
        Ok(Secs(total))
    } else {
        Err(bad("which ends without a unit"))
    }
}

/// A size in bytes.
pub(crate) fn size(text: &str) -> Result<u64, Problem> {
    let bad = |why: &str| Problem::new(format!("is {}, {why}", quote(text))).help(SIZE_HELP);
    if text.starts_with('-') {
        return Err(bad("which is negative"));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    if number.is_empty() {
        return Err(bad("which is not a size"));
    }
    if unit.is_empty() {
        return Err(bad("which has no unit"));
    }
    if unit.starts_with('.') {
        return Err(bad("which is not a whole number: use the next smaller unit"));
    }
    let factor = size_unit(unit.trim_start_matches(' ')).ok_or_else(|| bad("which is not a size"))?;
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(|| bad("which is too large"))
}

/// Bytes in a unit. One letter is a power of 1024, as Spark and the JVM read it.
fn size_unit(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        "t" | "ti" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    })
}

/// A size for a message or a table, in the largest unit of 1024 that divides it.
pub fn display_size(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// US dollars, in cents.
pub(crate) fn dollars(text: &str) -> Result<u64, Problem> {
    let bad = |why: &str| Problem::new(format!("is {}, {why}", quote(text))).help(MONEY_HELP);
    let number = text
        .strip_prefix('$')
        .or_else(|| text.strip_suffix("USD").map(str::trim_end));
    let Some(number) = number else {
        return Err(bad("which has no currency"));
    };
    let (whole_part, cents) = number.split_once('.').unwrap_or((number, "00"));
    if cents.is_empty() || cents.len() > 2 || !cents.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad("which is not an amount of money"));
    }
    let dollars = whole(whole_part).map_err(|_| bad("which is not an amount of money"))?;
    let scale = if cents.len() == 1 { 10 } else { 1 };
    let cents = cents.parse::<u64>().unwrap_or_default() * scale;
    dollars
        .checked_mul(100)
        .and_then(|n| n.checked_add(cents))
        .ok_or_else(|| bad("which is too large"))
}

/// Cents for a message: `$0.50`.
pub fn display_cents(cents: u64) -> String {
    match cents % 100 {
        0 => format!("${}", cents / 100),
        rest => format!("${}.{rest:02}", cents / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, secs) in [
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5_400),
            ("2d", 172_800),
            ("0s", 0),
            ("1d1s", 86_401),
        ] {
            assert_eq!(duration(text), Ok(Secs(secs)), "{text}");
        }
        for text in [
            "",
            "10",
            "-5m",
            "1e400s",
            "5 parsecs",
            "1.5h",
            "h",
            "1m1h",
            "1m1m",
            "5ms",
            "1h30",
            "1 h",
            "٣m",
            "99999999999999999999s",
            "999999999999999999d",
            "18446744073709551615s1s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("4GiB", 4 << 30),
            ("1g", 1 << 30),
            ("2GB", 2_000_000_000),
            ("16 GiB", 16 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "1024",
            "1.5GiB",
            "-1GiB",
            "GiB",
            "1PiB",
            "1 parsec",
            "99999999999999999999g",
            "20000000000g",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(display_size(24 << 40), "24TiB");
        assert_eq!(display_size(1_500), "1500B");
    }

    #[test]
    fn money() {
        for (text, cents) in [("$5", 500), ("$0.50", 50), ("$1.5", 150), ("5 USD", 500)] {
            assert_eq!(dollars(text), Ok(cents), "{text}");
        }
        for text in [
            "5",
            "$",
            "$-1",
            "$1.234",
            "$1e3",
            "€5",
            "$01",
            "$.5",
            "$999999999999999999999",
        ] {
            assert!(dollars(text).is_err(), "{text}");
        }
        assert_eq!(display_cents(1_205), "$12.05");
    }

    #[test]
    fn numbers() {
        assert_eq!(whole("0"), Ok(0));
        assert_eq!(whole("10000"), Ok(10_000));
        for text in [
            "",
            "-1",
            "+1",
            "1e9",
            "1.5",
            "0x10",
            "012",
            "1_000",
            "٣",
            " 1",
            "99999999999999999999",
        ] {
            assert!(whole(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_as_written(secs in 1_u64..10_000_000) {
            prop_assert_eq!(duration(&Secs(secs).to_string()), Ok(Secs(secs)));
        }
    }
}
