//! Stand-in until the server lands.

/// Config.
pub struct Config {
    /// Folder.
    pub root: std::path::PathBuf,
    /// Address.
    pub listen: std::net::SocketAddr,
    /// Key.
    pub access_key: String,
    /// Secret.
    pub secret_key: String,
    /// Region.
    pub region: String,
}
/// Server.
pub struct Server;
/// Error.
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl Server {
    /// Start.
    pub async fn start(_: Config) -> Result<Self, Error> { Err(Error) }
    /// Addr.
    pub fn addr(&self) -> std::net::SocketAddr { std::net::SocketAddr::from(([127, 0, 0, 1], 0)) }
    /// Stop.
    pub async fn stop(self) {}
}
