//! A server over a temporary folder, and clients for it.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use mayfly_s3::{Config, Server};
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "bucket";

pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

impl Rig {
    /// Starts a server and makes one bucket.
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let server = serve(folder.path()).await;
        let client = client(&server, "key", "secret");
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self {
            folder,
            server,
            client,
        }
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) -> String {
        let put = self
            .client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from(body.to_vec()));
        put.send().await.unwrap().e_tag.unwrap()
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let got = self
            .client
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    pub(crate) async fn is_absent(&self, key: &str) -> bool {
        self.client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .is_err()
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        listed
            .contents
            .unwrap_or_default()
            .into_iter()
            .map(|object| object.key.unwrap())
            .collect()
    }
}

pub(crate) async fn serve(root: &Path) -> Server {
    let config = Config {
        root: root.to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        region: "us-east-1".to_owned(),
    };
    Server::start(config)
        .await
        .map_err(|error| error.to_string())
        .unwrap()
}

/// A client that sends no checksum unless a test asks for one, and never tries twice.
pub(crate) fn client(server: &Server, key: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", server.addr()))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The error code of a request that must fail; for answers without a body, the status.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.unwrap_err();
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16().to_string());
    error
        .code()
        .map(str::to_owned)
        .filter(|code| code != "NotFound")
        .or(status)
        .unwrap_or_default()
}

/// Names its own failures better than a bare unwrap of a stream would.
pub(crate) fn bytes(text: &str) -> ByteStream {
    ByteStream::from(text.as_bytes().to_vec())
}
