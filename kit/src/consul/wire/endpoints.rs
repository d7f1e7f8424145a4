//! What Consul can be asked and consulrs lacks: writes of several keys, health of a service, ACLs.

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde_json::json;

use super::super::txn::RawPut;

/// `/v1/txn` of writes that compare, which consulrs lacks.
pub(super) struct WriteKeys(pub(super) Vec<RawPut>);

impl Endpoint for WriteKeys {
    type Response = serde_json::Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        "txn".into()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::PUT
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let one = |put: &RawPut| {
            let RawPut { key, value, cas } = put;
            json!({ "KV": { "Verb": "cas", "Key": key, "Value": value, "Index": cas } })
        };
        let all: Vec<_> = self.0.iter().map(one).collect();
        serde_json::to_vec(&all)
            .map(Some)
            .map_err(|e| ClientError::DataParseError { source: e.into() })
    }
}

/// `/v1/health/service/:name`, which consulrs lacks.
pub(super) struct HealthService(pub(super) String);

impl Endpoint for HealthService {
    type Response = Vec<serde_json::Value>;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("health/service/{}", self.0)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

/// A request with a JSON body or none, of the ACLs, which consulrs lacks.
pub(super) struct OfAcl {
    pub(super) path: String,
    pub(super) method: RequestMethod,
    pub(super) body: Option<serde_json::Value>,
}

impl Endpoint for OfAcl {
    type Response = serde_json::Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let body = self.body.as_ref().map(serde_json::to_vec);
        body.transpose()
            .map_err(|e| ClientError::DataParseError { source: e.into() })
    }
}
