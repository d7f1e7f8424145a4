//! Consul: the client against a real one and against liars, and what nodes, workers and coordinators do with it.

mod acl;
pub(crate) mod client;
mod election;
mod frozen;
mod launch;
mod liars;
mod lied_to;
mod presence;
mod search;

use mayfly_coordinator::consul::find_coordinator;
use mayfly_kit::consul::{Consul, ConsulError, ConsulSettings};

/// What a command finds that looks for its coordinator.
fn found_coordinator(url: &str, token: Option<&str>) -> Result<Option<String>, ConsulError> {
    let settings = ConsulSettings {
        token: token.map(Into::into),
        ..ConsulSettings::at(url)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(find_coordinator(&Consul::open(&settings).unwrap()))
}
