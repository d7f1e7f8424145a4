//! The embedded S3 server in the test's own process, and clients of whatever answers as it.

use std::path::Path;

use mayfly_kit::store::{Access, Store, StoreConfig};
use mayfly_s3::{Config, Server};

/// The access key that it takes.
pub const ACCESS_KEY: &str = "key";
/// And its secret.
pub const SECRET_KEY: &str = "secret-of-the-test";
/// Where it says that it is.
pub const REGION: &str = "us-east-1";

/// One over a folder, and its URL.
///
/// # Panics
/// It does not start.
pub async fn serve(root: &Path) -> (Server, String) {
    let config = Config {
        root: root.to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        region: REGION.to_owned(),
    };
    let server = Server::start(config).await.unwrap();
    let url = format!("http://{}", server.addr());
    (server, url)
}

/// A client of what answers at `endpoint`; the prefix ends in `/`.
#[must_use]
pub fn client(endpoint: &str, bucket: &str, prefix: &str) -> Store {
    Store::open(&StoreConfig {
        endpoint: Some(endpoint.to_owned()),
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: REGION.to_owned(),
        access: Access::keys(ACCESS_KEY, SECRET_KEY),
    })
}
