//! Which node speaks, and whether it may: by its token, and over TLS by what its connection proves.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::clock;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::{NodeId, RunId, v1};
use tokio::time::{Instant, sleep};
use tonic::{Request, Status};

use super::{address, bad_id, bearer, chain, check_token, peer, run_id, status};
use crate::authority::{Issued, NodeCertificate, NodeName};
use crate::cloud::Admission;
use crate::server::{Entry, Server, Session};
use crate::tokens::same;
use crate::transport::{Peer, Proof, Refusal, Refusals};

/// How long a machine that is not listed yet is looked for in one call, which may take ten seconds.
const LISTING_LIMIT: Duration = Duration::from_secs(6);
const LISTING_EVERY: Duration = Duration::from_secs(1);

/// What a call shows of who makes it.
pub(super) struct Caller {
    peer: Option<Peer>,
    token: Option<String>,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self {
            peer: peer(request),
            token: bearer(request.metadata()).map(str::to_owned),
        }
    }
}

/// A node that may say what it says.
pub(super) struct Known {
    pub(super) entry: Arc<Entry>,
    pub(super) session: Arc<Session>,
    pub(super) run: RunId,
    pub(super) node: NodeId,
}

/// What a node showed to be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// What it was started with.
    JoinToken,
    /// That it had been taken in before.
    Session,
}

/// What a node gets that is taken in over TLS.
pub(super) struct Certified {
    pub(super) issued: Issued,
    pub(super) key: Fingerprint,
}

/// Judges callers, and logs those that it refuses.
pub(super) struct Callers {
    server: Arc<Server>,
    refusals: Refusals,
}

impl Callers {
    pub(super) fn new(server: Arc<Server>, refusals: Refusals) -> Self {
        Self { server, refusals }
    }

    /// The node that a call is of.
    pub(super) async fn node(&self, caller: &Caller, run: &str, node: &str) -> Result<Known, Status> {
        let run = run_id(run)?;
        let node: NodeId = node.parse().map_err(bad_id)?;
        let entry = self.server.run(&run).await.map_err(status)?;
        let session = entry.session(&node).await;
        let session =
            session.ok_or_else(|| Status::unauthenticated(format!("{node} has not enrolled here")))?;
        let name = NodeName {
            run: run.clone(),
            node: node.clone(),
            role: session.role,
        };
        if let Some(certificate) = self.proven(caller, &name)?
            && Some(certificate.key) != session.key
        {
            let text = format!("{name} is enrolled with another key");
            return Err(self.refuse(caller, Refusal::Identity, Status::permission_denied(text)));
        }
        let token = self
            .server
            .tokens()
            .session(&run, node.as_str(), &session.boot_id);
        check_token(caller.token.as_deref(), &token)
            .map_err(|status| self.refuse(caller, Refusal::Token, status))?;
        Ok(Known {
            entry,
            session,
            run,
            node,
        })
    }

    /// Whether a node may be taken in: by its join token, or, if it had enrolled before (this coordinator may have been
    /// started anew since), by the session token of the same process of its agent, and over TLS its certificate.
    pub(super) fn admit(
        &self,
        caller: &Caller,
        name: &NodeName,
        request: &v1::EnrollRequest,
    ) -> Result<Shown, Status> {
        let tokens = self.server.tokens();
        let proven = match caller.peer.as_ref().map(|peer| &peer.proof) {
            Some(Proof::Stranger) | None => false,
            Some(Proof::Plain | Proof::Node(_)) => {
                self.proven(caller, name)?;
                true
            }
        };
        let session = tokens.session(&name.run, name.node.as_str(), &request.boot_id);
        if proven && caller.token.as_deref().is_some_and(|shown| same(shown, &session)) {
            return Ok(Shown::Session);
        }
        let joining = tokens.joining(&name.run);
        let checked = joining.check(&request.join_token, name.role, clock::steady());
        checked.map(|()| Shown::JoinToken).map_err(|error| {
            self.log(caller, Refusal::Enrolment, &format!("{name}: {error}"));
            Status::unauthenticated(error.to_string())
        })
    }

    /// Whether a machine that shows a join token is one of the run's: others may have read the token. A listing may lag
    /// behind, so it is asked again for a while.
    pub(super) async fn is_member(
        &self,
        caller: &Caller,
        name: &NodeName,
        entry: &Entry,
    ) -> Result<(), Status> {
        let began = Instant::now();
        loop {
            let refused = match entry.cloud.admit(&name.run, &name.node).await {
                Ok(Admission::Member) => return Ok(()),
                Ok(Admission::Refused(why)) => {
                    let text = format!("{} of {} may not be taken in: {why}", name.node, name.run);
                    Status::permission_denied(text)
                }
                Ok(Admission::NotSeen) if began.elapsed() < LISTING_LIMIT => {
                    sleep(LISTING_EVERY).await;
                    continue;
                }
                // It may be one all the same: it asks again for as long as it may.
                Ok(Admission::NotSeen) => Status::unavailable(format!(
                    "{} is not among the machines of {}, as far as its cloud lists them",
                    name.node, name.run
                )),
                Err(error) => Status::unavailable(format!("the machines of {}: {}", name.run, chain(&error))),
            };
            return Err(self.refuse(caller, Refusal::Enrolment, refused));
        }
    }

    /// The certificate of a node that is taken in; `None` in plaintext.
    pub(super) fn certify(
        &self,
        caller: &Caller,
        name: &NodeName,
        request: &[u8],
    ) -> Result<Option<Certified>, Status> {
        let Some(security) = self.server.security() else {
            return Ok(None);
        };
        let made = security
            .authority
            .for_node(name, request, security.node_life, clock::steady());
        match made {
            Ok((issued, key)) => Ok(Some(Certified { issued, key })),
            Err(error) => {
                let status = Status::invalid_argument(chain(&error));
                Err(self.refuse(caller, Refusal::Enrolment, status))
            }
        }
    }

    /// More nodes come than can be taken in at one time.
    pub(super) fn full(&self, caller: &Caller, status: Status) -> Status {
        self.refuse(caller, Refusal::Enrolment, status)
    }

    /// Another process, or another key, has this node's name.
    pub(super) fn taken(&self, caller: &Caller, name: &NodeName) -> Status {
        let status = Status::already_exists(format!("{} is enrolled by another process", name.node));
        self.refuse(caller, Refusal::Enrolment, status)
    }

    /// Whether the connection is that of any node.
    pub(super) fn is_node(&self, caller: &Caller) -> Result<(), Status> {
        match caller.peer.as_ref().map(|peer| &peer.proof) {
            Some(Proof::Plain | Proof::Node(_)) => Ok(()),
            Some(Proof::Stranger) | None => Err(self.refuse(caller, Refusal::Identity, stranger())),
        }
    }

    /// A worker that does what is for the master.
    pub(super) fn not_for_workers(&self, caller: &Caller, known: &Known) -> Status {
        let text = format!(
            "{} is a worker: the job's output and the engine's pages are the master's",
            known.node
        );
        self.refuse(caller, Refusal::Identity, Status::permission_denied(text))
    }

    /// What the connection proves must be what the call says. `None` in plaintext.
    fn proven(&self, caller: &Caller, name: &NodeName) -> Result<Option<Arc<NodeCertificate>>, Status> {
        let refused = match caller.peer.as_ref().map(|peer| &peer.proof) {
            Some(Proof::Plain) => return Ok(None),
            Some(Proof::Node(certificate)) if certificate.until < clock::steady() => {
                Status::unauthenticated("the certificate of this node has expired")
            }
            Some(Proof::Node(certificate)) if certificate.name == *name => {
                return Ok(Some(Arc::clone(certificate)));
            }
            Some(Proof::Node(certificate)) => {
                Status::permission_denied(format!("{} may not speak as {name}", certificate.name))
            }
            Some(Proof::Stranger) | None => stranger(),
        };
        Err(self.refuse(caller, Refusal::Identity, refused))
    }

    fn refuse(&self, caller: &Caller, refusal: Refusal, status: Status) -> Status {
        self.log(caller, refusal, &status.message());
        status
    }

    fn log(&self, caller: &Caller, refusal: Refusal, detail: &dyn Display) {
        self.refusals.note(refusal, address(caller.peer.as_ref()), detail);
    }
}

fn stranger() -> Status {
    Status::unauthenticated("no certificate: over TLS a node shows the one that it got when it enrolled")
}
