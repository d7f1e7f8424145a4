//! What a coordinator on a master begins with, sealed: secrets of the launcher's environment are in it, and whoever reads the
//! store must not read them.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use crate::server::Launch;

/// Shape of a package.
const VERSION: u32 = 1;
/// Bytes of a key.
const KEY_LEN: usize = 32;
#[cfg(feature = "aws")]
/// Largest package that is read, in bytes: a job file has a megabyte at most.
pub(crate) const MAX: u64 = 8 << 20;

/// Everything that the coordinator of one run needs and the record must not hold. No `Debug`: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    version: u32,
    /// The request, with values of the launcher's environment.
    pub launch: Launch,
    /// What tokens are made from.
    pub secret: String,
    /// What people show.
    pub people: String,
    /// The run's own authority, PEM, with its key.
    pub authority: String,
    /// Where the fleet is.
    pub place: Place,
    /// What webhooks are signed with.
    #[serde(default)]
    pub notify_secret: Option<String>,
}

/// Where in AWS a fleet is, for its own master.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Region.
    pub region: String,
    /// URL of all services, where they are not AWS's own.
    pub endpoint: Option<String>,
    /// Seconds between two looks at the machines.
    pub look_every_secs: u64,
}

/// Why a package cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The system gives no random bytes, or the cipher fails.
    #[error("the package of the run cannot be sealed")]
    Seal,
    /// What is given as its key is none.
    #[error("the key of the run's package is not one: it is 52 letters and digits")]
    Key,
    /// Another key, or other bytes.
    #[error("the package of the run cannot be opened: it was changed, or sealed with another key")]
    Broken,
    /// Of another version.
    #[error(
        "the package of the run is of another version of Mayfly: bake the image from the version that launches"
    )]
    Version,
}

impl Package {
    /// Of this version.
    #[must_use]
    pub fn new(
        launch: Launch,
        secret: String,
        people: String,
        authority: String,
        place: Place,
        notify_secret: Option<String>,
    ) -> Self {
        Self {
            version: VERSION,
            launch,
            secret,
            people,
            authority,
            place,
            notify_secret,
        }
    }

    /// Seals it with a key that is drawn for it alone. Returns the bytes, and the key as text.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn seal(&self) -> Result<(Vec<u8>, String), PackageError> {
        let mut key = [0; KEY_LEN];
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut key).map_err(|_| PackageError::Seal)?;
        getrandom::fill(&mut nonce).map_err(|_| PackageError::Seal)?;
        let mut text = serde_json::to_vec(self).map_err(|_| PackageError::Seal)?;
        cipher(&key)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
            .map_err(|_| PackageError::Seal)?;
        let sealed = [nonce.as_slice(), &text].concat();
        Ok((sealed, data_encoding::BASE32_NOPAD.encode(&key)))
    }

    /// Opens one.
    ///
    /// # Errors
    /// It is not one that this key opens.
    pub fn open(sealed: &[u8], key: &str) -> Result<Self, PackageError> {
        let key = data_encoding::BASE32_NOPAD.decode(key.as_bytes());
        let key: [u8; KEY_LEN] = key
            .ok()
            .and_then(|key| key.try_into().ok())
            .ok_or(PackageError::Key)?;
        let (nonce, text) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(PackageError::Broken)?;
        let mut text = text.to_owned();
        let text = cipher(&key)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text)
            .map_err(|_| PackageError::Broken)?;
        let package: Self = serde_json::from_slice(text).map_err(|_| PackageError::Version)?;
        if package.version == VERSION {
            Ok(package)
        } else {
            Err(PackageError::Version)
        }
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, PackageError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| PackageError::Seal)?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};

    use super::*;

    fn package() -> Package {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            ..AdHoc::default()
        };
        let job = ad_hoc(&flags, &|_| None).unwrap();
        let launch = Launch {
            request_id: "r".into(),
            job_json: String::new(),
            job,
            commit: "c".into(),
            bundle_key: None,
            owner: "me".into(),
            cloud: "aws".into(),
        };
        let place = Place {
            region: "eu-north-1".into(),
            endpoint: None,
            look_every_secs: 5,
        };
        Package::new(
            launch,
            "a secret".into(),
            "people".into(),
            "pem".into(),
            place,
            None,
        )
    }

    #[test]
    fn only_its_own_key_opens_a_package() {
        let (sealed, key) = package().seal().unwrap();
        let shown = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(Package::open(&sealed, &key).ok().unwrap().secret, "a secret");
        let (_, other) = package().seal().unwrap();
        assert_eq!(Package::open(&sealed, &other).err(), Some(PackageError::Broken));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(Package::open(&changed, &key).err(), Some(PackageError::Broken));
        for (bytes, key, says) in [
            (&b""[..], key.as_str(), PackageError::Broken),
            (&sealed[..5], key.as_str(), PackageError::Broken),
            (&sealed[..], "", PackageError::Key),
            (&sealed[..], "../x", PackageError::Key),
        ] {
            assert_eq!(Package::open(bytes, key).err(), Some(says));
        }
    }
}
