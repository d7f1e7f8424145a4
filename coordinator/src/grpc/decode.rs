//! From the wire to checked values, where the types themselves cannot do it.

use std::time::Duration;

use mayfly_proto::{NodeId, PROTOCOL_VERSION, READS_ENGINES, RunId, v1};
use tonic::Status;

use super::{bad_id, run_id};
use crate::incoming::{BUNDLE_MAX, IncomingError, Piece};
use crate::run::{Cancel, Role};
use crate::server::Launch;

/// The engine of agents that know no others.
const KNOWN_OF_OLD: &str = "spark";
const REQUEST_ID_MAX: usize = 128;
const OWNER_MAX: usize = 256;
/// Cores of one node that are believed.
const CORES_MAX: u32 = 4_096;
const BOOT_ID_MAX: usize = 64;

/// What a node is for.
///
/// # Errors
/// It is for nothing.
pub fn role(wire: i32) -> Result<Role, Status> {
    match v1::Role::try_from(wire) {
        Ok(v1::Role::Master) => Ok(Role::Master),
        Ok(v1::Role::Worker) => Ok(Role::Worker),
        Ok(v1::Role::Auto) => Ok(Role::Auto),
        Ok(v1::Role::Unspecified) | Err(_) => {
            Err(Status::invalid_argument("role must be MASTER, WORKER or AUTO"))
        }
    }
}

/// The node's name is its machine's name where the cloud numbers machines itself.
///
/// # Errors
/// It is no name, or that of another role.
pub fn node_id(machine_id: &str, role: Role) -> Result<NodeId, Status> {
    // A machine of AWS is named after its instance: it does not know what it is called here.
    let named = if machine_id.starts_with("i-") {
        let kind = if role == Role::Master { "master" } else { "worker" };
        format!("{kind}-{machine_id}")
    } else {
        machine_id.to_owned()
    };
    let id: NodeId = named.parse().map_err(bad_id)?;
    let prefix = match role {
        Role::Master => "master-",
        Role::Worker => "worker-",
        Role::Auto => "node-",
    };
    if id.as_str().starts_with(prefix) {
        Ok(id)
    } else {
        Err(Status::invalid_argument(format!(
            "machine {id} cannot enrol as {}",
            prefix.trim_end_matches('-')
        )))
    }
}

/// What a node says of itself.
///
/// # Errors
/// It cannot be so.
pub fn enrolment(request: &v1::EnrollRequest) -> Result<(), Status> {
    if request.protocol.saturating_add(1) < PROTOCOL_VERSION || request.protocol == 0 {
        let text = format!(
            "protocol {} is too old: this coordinator speaks {PROTOCOL_VERSION}",
            request.protocol
        );
        return Err(Status::unimplemented(text));
    }
    if request.boot_id.is_empty() || request.boot_id.len() > BOOT_ID_MAX {
        return Err(Status::invalid_argument("boot_id must have 1 to 64 characters"));
    }
    if request.address.parse::<std::net::IpAddr>().is_err() {
        return Err(Status::invalid_argument("address must be an IP address"));
    }
    if request.cores == 0 || request.cores > CORES_MAX || request.memory_bytes == 0 {
        return Err(Status::invalid_argument(
            "cores must be 1 to 4096 and memory_bytes more than 0",
        ));
    }
    Ok(())
}

/// A node that is too old to read what an engine is takes each for the one that it knows.
///
/// # Errors
/// It is so old, and the run's engine is another one.
pub fn reads_engine(request: &v1::EnrollRequest, spec: &v1::NodeSpec) -> Result<(), Status> {
    if request.protocol >= READS_ENGINES || spec.engine == KNOWN_OF_OLD {
        return Ok(());
    }
    let (engine, version) = (&spec.engine, &request.agent_version);
    let text =
        format!("the agent {version} is too old for the engine `{engine}`: use an image with a newer one");
    Err(Status::unimplemented(text))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A piece of a bundle.
///
/// # Errors
/// It is of no commit, or of no upload.
pub fn piece(request: v1::PutCodeRequest) -> Result<Piece, Status> {
    let v1::PutCodeRequest {
        commit,
        upload_id,
        offset,
        data,
        last,
    } = request;
    if !is_commit(&commit) {
        return Err(Status::invalid_argument(
            "commit must be a full commit id, 40 or 64 hex digits",
        ));
    }
    if upload_id.is_empty() || upload_id.len() > REQUEST_ID_MAX {
        return Err(Status::invalid_argument(
            "upload_id must have 1 to 128 characters",
        ));
    }
    if offset > BUNDLE_MAX {
        return Err(Status::invalid_argument(IncomingError::TooLarge.to_string()));
    }
    Ok(Piece {
        commit,
        upload_id,
        offset,
        data,
        last,
    })
}

/// What is to be launched.
///
/// # Errors
/// It is no job, no commit, or too much of anything.
pub fn launch(request: v1::LaunchRequest) -> Result<Launch, Status> {
    if request.request_id.is_empty() || request.request_id.len() > REQUEST_ID_MAX {
        return Err(Status::invalid_argument(
            "request_id must have 1 to 128 characters",
        ));
    }
    if !is_commit(&request.commit) {
        return Err(Status::invalid_argument(
            "commit must be a full commit id, 40 or 64 hex digits",
        ));
    }
    if request.owner.len() > OWNER_MAX {
        return Err(Status::invalid_argument("owner may have 256 characters"));
    }
    if !request.bundle_key.is_empty() && request.bundle_key != mayfly_kit::layout::bundle(&request.commit) {
        return Err(Status::invalid_argument(
            "bundle_key is not the key of this commit's bundle",
        ));
    }
    let job = serde_json::from_str(&request.job_json)
        .map_err(|error| Status::invalid_argument(format!("job_json is not a checked job: {error}")))?;
    Ok(Launch {
        cloud: request.cloud,
        request_id: request.request_id,
        job,
        job_json: request.job_json,
        commit: request.commit,
        bundle_key: Some(request.bundle_key).filter(|key| !key.is_empty()),
        owner: request.owner,
    })
}

/// Which run is to be watched, and from which line of its output on: any number, the output knows where it begins.
///
/// # Errors
/// It is no run.
pub fn watch(request: &v1::WatchRequest) -> Result<(RunId, u64), Status> {
    Ok((run_id(&request.run_id)?, request.from_line))
}

/// Which run is to be cancelled, and how. A level that a newer caller knows is the one that saves most.
///
/// # Errors
/// It is no run.
pub fn cancel(request: &v1::CancelRequest) -> Result<(RunId, Cancel), Status> {
    let level = match request.level() {
        v1::CancelLevel::Graceful | v1::CancelLevel::Unspecified => Cancel::Graceful,
        v1::CancelLevel::Fast => Cancel::Fast,
    };
    Ok((run_id(&request.run_id)?, level))
}

/// Which run is to end how long from now; whether that is too long the server knows.
///
/// # Errors
/// It is no run.
pub fn extension(request: &v1::ExtendRequest) -> Result<(RunId, Duration), Status> {
    let from_now = Duration::from_secs(request.deadline_secs);
    Ok((run_id(&request.run_id)?, from_now))
}

/// Whose session a connection is to, as its first message says.
///
/// # Errors
/// There is none, or it names no run.
pub fn session(first: Option<v1::SessionBytes>) -> Result<RunId, Status> {
    run_id(&first.unwrap_or_default().run_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authority::NodeName;
    use crate::tokens::Tokens;

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<RunId>();
            let _ = text.parse::<NodeId>();
            let _ = text.parse::<NodeName>();
            let joining = Tokens::generate().unwrap().joining(&"a-abcdefgh".parse().unwrap());
            prop_assert!(joining.check(&text, Role::Worker, jiff::Timestamp::UNIX_EPOCH).is_err());
        }

        #[test]
        fn what_is_taken_as_a_name_is_the_same_when_it_is_written(
            run in "[a-z]{1,5}-[a-z2-7]{8}", node in "(master|worker)-[0-9]{1,4}", master: bool
        ) {
            let text = format!("spiffe://mayfly/run/{run}/node/{node}/role/{}", if master { "master" } else { "worker" });
            if let Ok(name) = text.parse::<NodeName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
