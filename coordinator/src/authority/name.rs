//! What a node's certificate says: which run, which node, which role.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{NodeId, RunId};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::run::Role;

const PREFIX: &str = "spiffe://mayfly/run/";

/// Who a node is: `spiffe://mayfly/run/<run>/node/<node>/role/<role>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName {
    /// Its run.
    pub run: RunId,
    /// Its name.
    pub node: NodeId,
    /// What it is for.
    pub role: Role,
}

/// What the certificate of a connected node says. That it is signed by the authority was checked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// Who it is.
    pub name: NodeName,
    /// Its last second.
    pub until: Timestamp,
    /// Fingerprint of its public key.
    pub key: Fingerprint,
}

/// Why a certificate is not that of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It is for issuing others.
    #[error("the certificate is that of an authority, not of a node")]
    Authority,
    /// It names nobody, or several.
    #[error("the certificate has {0} names where a node has one")]
    Names(usize),
    /// Its name is not that of a node.
    #[error("the certificate's name is not that of a node: {PREFIX}<run>/node/<node>/role/<role>")]
    Name,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, node, role } = self;
        write!(f, "{PREFIX}{run}/node/{node}/role/{}", role.name())
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(uri: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = uri
            .strip_prefix(PREFIX)
            .ok_or(NameError::Name)?
            .split('/')
            .collect();
        let [run, "node", node, "role", role] = parts[..] else {
            return Err(NameError::Name);
        };
        let role = [Role::Master, Role::Worker, Role::Auto]
            .into_iter()
            .find(|known| known.name() == role);
        Ok(Self {
            run: run.parse().map_err(|_| NameError::Name)?,
            node: node.parse().map_err(|_| NameError::Name)?,
            role: role.ok_or(NameError::Name)?,
        })
    }
}

impl NodeCertificate {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// It is not that of a node.
    pub fn read(der: &[u8]) -> Result<Self, NameError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NameError::Unreadable)?;
        if !rest.is_empty() {
            return Err(NameError::Unreadable);
        }
        if certificate.is_ca() {
            return Err(NameError::Authority);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| NameError::Unreadable)?;
        let names = names.map_or(&[][..], |extension| &extension.value.general_names);
        let name = match names {
            [GeneralName::URI(uri)] => uri.parse()?,
            [_] => return Err(NameError::Name),
            others => return Err(NameError::Names(others.len())),
        };
        let until = certificate.validity().not_after.timestamp();
        Ok(Self {
            name,
            until: Timestamp::from_second(until).map_err(|_| NameError::Unreadable)?,
            key: Fingerprint::of(&certificate.public_key().subject_public_key.data),
        })
    }
}
