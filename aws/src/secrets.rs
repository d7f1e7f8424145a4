//! Secrets that AWS keeps: parameters of Systems Manager, and secrets of Secrets Manager.

use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};

/// The value of a parameter by its name or ARN, decrypted; `None` where there is none.
///
/// # Errors
/// AWS refuses or does not answer.
pub async fn parameter(account: &Account, name: &str) -> Result<Option<String>, AwsError> {
    let client = aws_sdk_ssm::Client::new(account.config());
    let asked = client
        .get_parameter()
        .name(name)
        .with_decryption(true)
        .send()
        .await;
    let answer = gone(asked.map_err(|error| failed(format!("read the parameter {name}"), error)))?;
    Ok(answer.and_then(|answer| answer.parameter?.value))
}

/// The text of a secret's current version, by its name or ARN; `None` where there is none.
///
/// # Errors
/// It is not text, or AWS refuses or does not answer.
pub async fn secret(account: &Account, name: &str) -> Result<Option<String>, AwsError> {
    let client = aws_sdk_secretsmanager::Client::new(account.config());
    let asked = client.get_secret_value().secret_id(name).send().await;
    let answer = gone(asked.map_err(|error| failed(format!("read the secret {name}"), error)))?;
    let Some(answer) = answer else { return Ok(None) };
    if answer.secret_string.is_none() {
        let said = "it holds bytes, and an environment holds text";
        return Err(AwsError::new(
            Kind::Invalid,
            format!("read the secret {name}"),
            said,
        ));
    }
    Ok(answer.secret_string)
}
