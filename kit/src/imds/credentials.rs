//! The keys of the instance's role, as metadata has them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Answer, Imds, ImdsError};

/// The folder of the roles; an instance has one.
const FOLDER: &str = "meta-data/iam/security-credentials/";
const FIELD_MAX: usize = 4096;

/// Keys of a session of the instance's role. No `Debug`: they are secrets.
#[derive(Clone)]
pub struct SessionKeys {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Session token.
    pub token: String,
    /// How long they are good for from the moment they were answered, by the clock of whoever gave them.
    pub good_for: Duration,
}

/// What comes in the document; AWS adds fields as it likes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: String,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

impl Imds {
    /// Keys of this instance's role.
    ///
    /// # Errors
    /// The instance has no role, metadata does not answer, or with nothing that can be used.
    pub async fn session_keys(&self) -> Result<SessionKeys, ImdsError> {
        let role = self.need(FOLDER).await?;
        let path = format!("{FOLDER}{}", role_name(&role.text)?);
        let answer = self.need(&path).await?;
        decode(&path, &answer)
    }
}

/// One name of a role: it becomes a part of a path.
fn role_name(text: &str) -> Result<&str, ImdsError> {
    let name = text.trim_end_matches(['\r', '\n']);
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"+=,.@_-".contains(&c);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) || name.starts_with('.') {
        return Err(ImdsError::not(FOLDER, "the name of one role", text));
    }
    Ok(name)
}

fn decode(path: &str, answer: &Answer) -> Result<SessionKeys, ImdsError> {
    let wrong = |wanted, found: &str| ImdsError::malformed(path, wanted, found);
    // What the parser says may quote the document, which holds secrets.
    let document: Document = serde_json::from_str(&answer.text).map_err(|error| {
        wrong(
            "a JSON object with Code",
            &format!(
                "not ({:?} at line {}, column {})",
                error.classify(),
                error.line(),
                error.column()
            ),
        )
    })?;
    if document.code != "Success" {
        return Err(ImdsError::not(path, "of Code \"Success\"", &document.code));
    }
    let field = |value: Option<String>, wanted| {
        let fits = |text: &String| {
            !text.is_empty() && text.len() <= FIELD_MAX && text.bytes().all(|c| c.is_ascii_graphic())
        };
        value.filter(fits).ok_or_else(|| wrong(wanted, "without it"))
    };
    let end = document
        .expiration
        .as_deref()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let end = end.ok_or_else(|| wrong("with Expiration, a time as 2030-01-31T12:00:00Z", "without it"))?;
    // Not by this machine's clock, which may be wrong by hours.
    let now = answer.date.unwrap_or_else(Timestamp::now);
    let good_for = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    if good_for.is_zero() {
        return Err(ImdsError::not(
            path,
            "good for a while from now",
            &format!("expired at {end}, now {now}"),
        ));
    }
    Ok(SessionKeys {
        access_key: field(document.access_key_id, "with AccessKeyId")?,
        secret_key: field(document.secret_access_key, "with SecretAccessKey")?,
        token: field(document.token, "with Token")?,
        good_for,
    })
}
