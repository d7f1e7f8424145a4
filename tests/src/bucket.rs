//! A store of S3 that is served on its own.

use serde_json::Value;

use crate::wait::secs;
use crate::{Home, Launch};

/// A bucket, served until it is dropped.
#[derive(Debug)]
pub struct Bucket {
    _server: Launch,
    /// Its name.
    pub name: String,
    /// URL of the server.
    pub endpoint: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

impl Bucket {
    /// That of a home where nothing was started before.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn serve(home: &Home) -> Self {
        let mut server = home.start(&mut home.command(&["store", "serve", "--json"]));
        let stdout = server.stdout_file();
        let told: Value = server.until("the store's address", secs(30), || {
            serde_json::from_slice(&std::fs::read(&stdout).ok()?).ok()
        });
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        Self {
            _server: server,
            name: text("bucket"),
            endpoint: text("endpoint"),
            access_key: text("access_key"),
            secret_key: text("secret_key"),
        }
    }

    /// How AWS' own tools reach it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_key),
        ]
    }
}
