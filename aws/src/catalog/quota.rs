//! Quotas of the account: how many vCPUs of the ordinary families may run at one time.

use crate::Account;
use crate::error::{AwsError, Kind, failed};

/// "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" (Amazon EC2 user guide, "Instance quotas").
const ON_DEMAND: &str = "L-1216C47A";
/// "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests".
const SPOT: &str = "L-34B43A08";

/// Whether a type counts against these quotas: others have quotas of their own.
#[must_use]
pub fn is_standard(kind: &str) -> bool {
    let family: String = kind.chars().take_while(char::is_ascii_lowercase).collect();
    let standard = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];
    standard.contains(&family.as_str())
}

/// vCPUs that the account may have; `None` where it is not known or must not be asked.
///
/// # Errors
/// AWS does not answer.
pub async fn vcpus(account: &Account, spot: bool) -> Result<Option<u32>, AwsError> {
    let code = if spot { SPOT } else { ON_DEMAND };
    let asked = account
        .quotas
        .get_service_quota()
        .service_code("ec2")
        .quota_code(code);
    let answer = asked
        .send()
        .await
        .map_err(|error| failed("ask for the quota of vCPUs", error));
    match answer {
        Ok(answer) => Ok(answer.quota.and_then(|quota| quota.value).and_then(whole)),
        // A launch finds out by itself; this only spares it the try.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Permission) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A quota is a whole number in a field that takes more.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within bounds, checked"
)]
fn whole(value: f64) -> Option<u32> {
    (0.0..=f64::from(u32::MAX))
        .contains(&value)
        .then_some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinary_families_are_told_from_those_with_quotas_of_their_own() {
        for kind in [
            "m7g.large",
            "c7gn.16xlarge",
            "t4g.small",
            "i4i.large",
            "r8gd.xlarge",
            "im4gn.large",
        ] {
            assert!(is_standard(kind), "{kind}");
        }
        for kind in [
            "g5.xlarge",
            "p5.48xlarge",
            "inf2.xlarge",
            "x2gd.large",
            "trn1.2xlarge",
            "u-6tb1.metal",
            "hpc7g.4xlarge",
        ] {
            assert!(!is_standard(kind), "{kind}");
        }
    }
}
