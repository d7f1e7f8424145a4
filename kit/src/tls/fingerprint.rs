//! Fingerprints of certificates.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";
const BYTES: usize = 32;

/// SHA-256 of a certificate (DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; BYTES]);

/// What was given is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is `sha256:` and 64 hex digits, as `coordinator serve` prints it")]
pub struct FingerprintError;

impl Fingerprint {
    /// Of these bytes.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Case does not matter, and colons between digits, as OpenSSL prints them, are skipped.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let hex = text.strip_prefix(PREFIX).ok_or(FingerprintError)?;
        let digits: Vec<u32> = hex
            .chars()
            .filter(|&c| c != ':')
            .map(|c| c.to_digit(16).ok_or(FingerprintError))
            .collect::<Result<_, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| u8::try_from(high << 4 | low).ok())
            .collect();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) if rest.is_empty() => Ok(Self(bytes)),
            Some(_) | None => Err(FingerprintError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let print = Fingerprint::of(b"a certificate");
        assert_eq!(print.to_string().parse(), Ok(print));
        let upper = print.to_string().to_uppercase().replace("SHA256:", PREFIX);
        assert_eq!(upper.parse(), Ok(print));
        let digits = upper.trim_start_matches(PREFIX).as_bytes();
        let pairs: Vec<_> = digits.chunks(2).map(String::from_utf8_lossy).collect();
        assert_eq!(format!("{PREFIX}{}", pairs.join(":")).parse(), Ok(print));
    }

    #[test]
    fn other_things_are_no_fingerprints() {
        let hex = "0".repeat(64);
        let (bare, long, short) = (
            hex.clone(),
            format!("sha256:{hex}0"),
            format!("sha256:{}", &hex[1..]),
        );
        let other = format!("sha256:{}g", &hex[1..]);
        for bad in ["", "sha256:", &bare, &long, &short, &other, &format!("md5:{hex}")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }
}
