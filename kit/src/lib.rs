//! Plumbing that both programs share, and nothing of what they decide.
//!
//! * [`layout`]: where each thing of a run is in the store;
//! * [`records`]: what agents write there for others to read;
//! * [`store`]: the S3 client;
//! * [`imds`]: instance metadata of EC2, and the keys of an instance's role; [`sts`]: keys that may do less;
//! * [`tls`]: TLS and the way to a coordinator; [`tunnel`]: a connection that is carried over another one;
//! * [`consul`]: the client of Consul;
//! * [`telemetry`], [`shutdown`], [`backoff`], [`admin`]: logs, signals, waits between tries, HTTP for operators;
//! * [`clock`]: the time of day, where somebody may set the clock;
//! * [`ways`]: variables that say how the network is reached;
//! * [`scrape`]: metrics that are read when Prometheus asks;
//! * [`crash`]: where tests end a process;
//! * [`error`]: errors with their causes, as people read them.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod consul;
pub mod crash;
pub mod error;
pub mod imds;
pub mod layout;
pub mod records;
pub mod scrape;
pub mod shutdown;
pub mod store;
pub mod sts;
pub mod telemetry;
pub mod tls;
pub mod tunnel;
pub mod ways;
