//! An instance that carries the server of a team: what its metadata says of it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use mayfly_kit::imds::{Imds, ImdsError};
use serde::Deserialize;

use super::facts::Facts;
use super::site::Site;
use super::tags::ControlTags;

const USER_DATA: &str = "user-data";
const PUBLIC_IPV4: &str = "meta-data/public-ipv4";
/// The shape that this agent reads.
const VERSION: u32 = 1;

/// The server of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The network that it serves.
    pub network: String,
    /// `i-…`.
    pub instance: String,
    /// Where the network reaches it.
    pub address: IpAddr,
    /// Where the internet does, if it does.
    pub public: Option<IpAddr>,
    /// Region of the fleets and of the store.
    pub region: String,
    /// Bucket of the store.
    pub bucket: String,
    /// Prefix before every key, empty or ending in `/`.
    pub prefix: String,
    /// A folder of its own.
    pub folder: PathBuf,
    /// The image of nodes, unless it is the newest that fits.
    pub image: Option<String>,
    /// URL of all services, where they are not AWS's own.
    pub endpoint: Option<String>,
    /// URL of the store, where it is not AWS's own.
    pub store_endpoint: Option<String>,
    /// The program of the Consul that is to run beside it, if one is.
    pub consul: Option<PathBuf>,
}

/// What user data says of a server, and its public address.
#[derive(Debug)]
pub(super) struct Settings {
    said: Said,
    public: Option<Ipv4Addr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    control: Said,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    consul: bool,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    store_endpoint: Option<String>,
}

impl Settings {
    pub(super) async fn read(imds: &Imds) -> Result<Self, ImdsError> {
        let said = decode(&imds.need(USER_DATA).await?.text)?;
        let public = match imds.get(PUBLIC_IPV4).await? {
            Some(answer) => Some(address(&answer.text)?),
            None => None,
        };
        Ok(Self { said, public })
    }
}

fn address(text: &str) -> Result<Ipv4Addr, ImdsError> {
    let parsed = text.trim_end().parse();
    parsed.map_err(|_| ImdsError::not(PUBLIC_IPV4, "an IPv4 address", text))
}

fn decode(text: &str) -> Result<Said, ImdsError> {
    let wrong = |wanted, found: String| ImdsError::malformed(USER_DATA, wanted, found);
    let document: Document = serde_json::from_str(text).map_err(|error| {
        wrong(
            "a JSON object of version and control (consul, image, endpoint, store_endpoint)",
            format!("not: {error}"),
        )
    })?;
    if document.version != VERSION {
        return Err(wrong("of version 1", format!("of version {}", document.version)));
    }
    let said = document.control;
    let http = |url: &&String| !url.starts_with("http://") && !url.starts_with("https://");
    for url in [&said.endpoint, &said.store_endpoint] {
        if let Some(url) = url.as_ref().filter(http) {
            return Err(wrong("with endpoints as https://HOST", format!("with {url:?}")));
        }
    }
    if let Some(image) = said.image.as_ref().filter(|image| !image.starts_with("ami-")) {
        return Err(wrong("with an image as ami-…", format!("with {image:?}")));
    }
    Ok(said)
}

impl Control {
    pub(super) fn new(site: Site, facts: Facts, tags: ControlTags, settings: Settings) -> Self {
        Self {
            network: tags.network,
            instance: facts.instance_id,
            address: facts.address.into(),
            public: settings.public.map(IpAddr::from),
            region: facts.region,
            bucket: tags.bucket,
            prefix: tags.prefix,
            folder: site.folder,
            image: settings.said.image,
            endpoint: settings.said.endpoint,
            store_endpoint: settings.said.store_endpoint,
            consul: settings.said.consul.then_some(site.consul_program),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_of_a_server_is_taken_whole_or_what_would_be_right_is_said() {
        let least = decode(r#"{"version":1,"control":{}}"#).unwrap();
        assert!(least.image.is_none() && least.endpoint.is_none());
        let all = decode(
            r#"{"version":1,"control":{"consul":true,"image":"ami-1","endpoint":"http://127.0.0.1:1","store_endpoint":"https://s3"}}"#,
        );
        assert_eq!(all.unwrap().image.as_deref(), Some("ami-1"));
        for (bad, says) in [
            (r#"{"version":2,"control":{}}"#, "of version 1"),
            (r#"{"version":1}"#, "missing field `control`"),
            (r#"{"version":1,"control":{"color":"red"}}"#, "unknown field"),
            (r#"{"version":1,"control":{},"join_token":"x"}"#, "unknown field"),
            (r#"{"version":1,"control":{"image":"debian"}}"#, "ami-"),
            (
                r#"{"version":1,"control":{"endpoint":"file:///x"}}"#,
                "https://HOST",
            ),
            ("", "line 1"),
        ] {
            let error = decode(bad).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(address("52.0.0.1\n").is_ok() && address("x").is_err());
    }
}
