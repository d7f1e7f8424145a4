//! Durations, sizes, shares and bars, for people.

/// `0.4 s`, `12.3 s`, `2 m 05 s`, `3 h 07 m`.
#[must_use]
pub(crate) fn secs(secs: f64) -> String {
    let secs = if secs.is_finite() { secs.max(0.0) } else { 0.0 };
    if secs < 99.95 {
        return format!("{secs:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped above; `as` saturates"
    )]
    let whole = secs.round() as u64;
    if whole < 3600 {
        format!("{} m {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} m", whole / 3600, whole % 3600 / 60)
    }
}

/// Milliseconds between two times, as seconds; zero when the second is earlier.
#[must_use]
pub(crate) fn between_ms(from: i64, to: i64) -> f64 {
    u32::try_from(to.saturating_sub(from).max(0)).map_or(f64::from(u32::MAX), f64::from) / 1000.0
}

/// `512 B`, `1.5 KiB`, `2.0 GiB`.
#[must_use]
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// `81 %`; `-` when there is nothing to compare with.
#[must_use]
pub(crate) fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 || !part.is_finite() {
        return "-".to_owned();
    }
    format!("{:.0} %", (part / whole * 100.0).clamp(0.0, 9999.0))
}

/// The same for sizes.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
pub(crate) fn share_bytes(part: u64, whole: u64) -> String {
    share(part as f64, whole as f64)
}

/// A bar of `width` characters, `part` of `whole` filled.
#[must_use]
pub(crate) fn bar(part: f64, whole: f64, width: usize) -> String {
    let ratio = if whole > 0.0 {
        (part / whole).clamp(0.0, 1.0)
    } else {
        0.0
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0..=width"
    )]
    let filled = (ratio * width as f64).round() as usize;
    let filled = filled.min(width);
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// `1 file`, `2 files`.
#[must_use]
pub(crate) fn count(n: u64, what: &str) -> String {
    if n == 1 {
        format!("{n} {what}")
    } else {
        format!("{n} {what}s")
    }
}

/// As [`dollars`], of cents.
#[must_use]
pub(crate) fn dollars_of_cents(cents: u64) -> String {
    dollars(cents.saturating_mul(10_000))
}

/// Millionths of a US dollar: cents from a dollar on, hundredths of a cent below.
#[must_use]
pub(crate) fn dollars(micros: u64) -> String {
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    if whole > 0 {
        return format!("${whole}.{:02}", part / 10_000);
    }
    format!("$0.{:04}", part / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_well_at_every_scale() {
        for (given, shown) in [
            (0.04, "0.0 s"),
            (12.34, "12.3 s"),
            (99.94, "99.9 s"),
            (99.96, "1 m 40 s"),
            (125.0, "2 m 05 s"),
            (11_220.0, "3 h 07 m"),
            (-1.0, "0.0 s"),
            (f64::NAN, "0.0 s"),
        ] {
            assert_eq!(secs(given), shown);
        }
        for (given, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1 << 31, "2.0 GiB"),
            (1_048_575, "1.0 MiB"),
        ] {
            assert_eq!(bytes(given), shown);
        }
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(
            (share(1.0, 0.0).as_str(), share(1.0, 2.0).as_str()),
            ("-", "50 %")
        );
        assert_eq!(
            (bar(1.0, 2.0, 4).as_str(), bar(9.0, 2.0, 2).as_str()),
            ("██░░", "██")
        );
        assert_eq!(between_ms(5, 1), 0.0);
    }

    #[test]
    fn money_has_the_digits_that_matter() {
        assert_eq!(dollars(0), "$0.0000");
        assert_eq!(dollars(81_650), "$0.0816");
        assert_eq!(dollars(1_999_999), "$1.99");
        assert_eq!(dollars(12_000_000), "$12.00");
    }
}
