//! Plumbing that both programs share, and nothing of what they decide.
//!
//! * [`layout`]: where each thing of a run is in the store;
//! * [`store`]: the S3 client;
//! * `telemetry`, `shutdown`, `backoff`, `admin`: the rest.

pub mod layout;
pub mod store;
