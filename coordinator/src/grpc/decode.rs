//! From the wire to checked values, where the types themselves cannot do it.

use mayfly_proto::{NodeId, PROTOCOL_VERSION, READS_ENGINES, v1};
use tonic::Status;

use super::bad_id;
use crate::incoming::{BUNDLE_MAX, IncomingError, Piece};
use crate::run::Role;
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

#[cfg(test)]
mod tests {
    use mayfly_proto::RunId;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::authority::NodeName;
    use crate::run::Report;
    use crate::tokens::Tokens;

    /// Bytes that are likelier than random ones to get through the first decoder: fields of a message, badly filled.
    fn almost_a_message() -> impl Strategy<Value = Vec<u8>> {
        let field = (
            1u32..20,
            0u32..6,
            any::<u64>(),
            proptest::collection::vec(any::<u8>(), 0..40),
        );
        let field = field.prop_map(|(number, wire, value, bytes)| {
            let mut out = Vec::new();
            prost::encoding::encode_varint(u64::from(number << 3 | wire), &mut out);
            match wire {
                0 => prost::encoding::encode_varint(value, &mut out),
                1 => out.extend(value.to_le_bytes()),
                2 => {
                    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
                    out.extend(bytes);
                }
                5 => out.extend(&value.to_le_bytes()[..4]),
                _ => {}
            }
            out
        });
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            proptest::collection::vec(field, 0..12).prop_map(|fields| fields.concat()),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in almost_a_message()) {
            if let Ok(request) = v1::SyncRequest::decode(&bytes[..]) {
                let _ = request.report.map(Report::try_from);
            }
            if let Ok(report) = v1::NodeReport::decode(&bytes[..]) {
                let _ = Report::try_from(report);
            }
            if let Ok(request) = v1::EnrollRequest::decode(&bytes[..]) {
                let _ = enrolment(&request);
                let _ = role(request.role).map(|role| node_id(&request.machine_id, role));
            }
            if let Ok(request) = v1::LaunchRequest::decode(&bytes[..]) {
                let _ = launch(request);
            }
            if let Ok(request) = v1::PutCodeRequest::decode(&bytes[..]) {
                let _ = piece(request);
            }
            let _ = v1::LogBatch::decode(&bytes[..]);
        }

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
