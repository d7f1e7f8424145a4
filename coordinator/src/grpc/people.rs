//! What people and their programs say.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use mayfly_kit::tunnel;
use mayfly_proto::v1::run_service_server::RunService;
use mayfly_proto::{RunId, v1};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{address, bearer, chain, check_token, decode, peer, run_id, status};
use crate::driver::Handle;
use crate::incoming::IncomingError;
use crate::server::{CarryError, Entry, Server};
use crate::shelf::Shelf;
use crate::transport::{Refusal, Refusals};

/// For the first message of a stream.
const FIRST_WORD: Duration = Duration::from_secs(10);

pub(super) struct People {
    server: Arc<Server>,
    refusals: Refusals,
    stop: watch::Receiver<bool>,
}

impl People {
    pub(super) fn new(server: Arc<Server>, refusals: Refusals, stop: watch::Receiver<bool>) -> Self {
        Self {
            server,
            refusals,
            stop,
        }
    }

    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        check_token(bearer(request.metadata()), self.server.tokens().people()).inspect_err(|status| {
            let address = address(peer(request).as_ref());
            self.refusals.note(Refusal::Token, address, &status.message());
        })
    }

    fn shelf(&self) -> Result<&Shelf, Status> {
        let shelf = self.server.shelf();
        shelf
            .ok_or_else(|| Status::failed_precondition("the store of this coordinator is for its runs alone"))
    }

    /// A run whose job is a session.
    async fn session_of(&self, run: &RunId) -> Result<Arc<Entry>, Status> {
        let entry = self.server.run(run).await.map_err(status)?;
        if entry.spec.session_idle().is_some() {
            return Ok(entry);
        }
        Err(Status::failed_precondition(
            "the job of this run is a program, and no session",
        ))
    }

    async fn handle(&self, run: &RunId) -> Result<Handle, Status> {
        Ok(self.server.run(run).await.map_err(status)?.handle.clone())
    }
}

fn incoming(error: IncomingError) -> Status {
    let code = match &error {
        IncomingError::TooLarge => Code::InvalidArgument,
        IncomingError::Busy => Code::ResourceExhausted,
        IncomingError::Io(_) => Code::Internal,
        IncomingError::Store(_) | IncomingError::Upload(_) => Code::Unavailable,
    };
    Status::new(code, chain(&error))
}

/// It may be there in a moment.
fn no_session(error: CarryError) -> Status {
    Status::unavailable(format!("the session cannot be reached: {error}"))
}

/// A watcher: what it has seen so far.
struct Watcher {
    handle: Handle,
    end: watch::Receiver<u64>,
    next_line: u64,
    ready: VecDeque<v1::RunEvent>,
    done: bool,
    stop: watch::Receiver<bool>,
}

/// What a watcher was woken by.
enum Change {
    Stop,
    Log,
    View { last: bool },
}

impl Watcher {
    fn log(&mut self) -> Option<v1::RunEvent> {
        let batch = self.handle.output.read(self.next_line)?;
        self.next_line = batch.first_line + batch.lines.len() as u64;
        Some(v1::RunEvent {
            event: Some(v1::run_event::Event::Log(batch)),
        })
    }

    /// Lines before views, so that the last view of a run comes after its last line.
    async fn next(&mut self) -> Option<v1::RunEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.done {
                return None;
            }
            if let Some(event) = self.log() {
                return Some(event);
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let changed = tokio::select! {
            biased;
            _ = self.stop.changed() => Change::Stop,
            _ = self.end.changed() => Change::Log,
            // An error means that the driver is gone: nothing will change any more.
            changed = self.handle.view.changed() => Change::View { last: changed.is_err() },
        };
        match changed {
            Change::Stop => self.done = true,
            Change::Log => {}
            Change::View { last } => self.take_view(last),
        }
    }

    fn take_view(&mut self, last: bool) {
        let view = self.handle.view.borrow_and_update().clone();
        self.done = last || view.phase() == v1::Phase::Closed;
        if self.done {
            while let Some(event) = self.log() {
                self.ready.push_back(event);
            }
        }
        self.ready.push_back(v1::RunEvent {
            event: Some(v1::run_event::Event::View(view)),
        });
    }
}

#[tonic::async_trait]
impl RunService for People {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RunEvent, Status>> + Send>>;
    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::SessionBytes, Status>> + Send>>;
    type TunnelStoreStream = Pin<Box<dyn Stream<Item = Result<v1::StoreBytes, Status>> + Send>>;

    async fn put_code(
        &self,
        request: Request<v1::PutCodeRequest>,
    ) -> Result<Response<v1::PutCodeReply>, Status> {
        self.check(&request)?;
        let piece = decode::piece(request.into_inner())?;
        let progress = self.server.put_code(piece).await.map_err(incoming)?;
        Ok(Response::new(v1::PutCodeReply {
            received: progress.received,
            bundle_key: progress.stored.unwrap_or_default(),
        }))
    }

    async fn plan(&self, request: Request<v1::LaunchRequest>) -> Result<Response<v1::PlanReply>, Status> {
        self.check(&request)?;
        let launch = decode::launch(request.into_inner())?;
        Ok(Response::new(self.server.plan(&launch).await.map_err(status)?))
    }

    async fn examine(
        &self,
        request: Request<v1::LaunchRequest>,
    ) -> Result<Response<v1::ExamineReply>, Status> {
        self.check(&request)?;
        let launch = decode::launch(request.into_inner())?;
        let checks = self.server.examine(&launch).await.map_err(status)?;
        Ok(Response::new(v1::ExamineReply {
            checks: checks.into_iter().map(v1::Check::from).collect(),
        }))
    }

    async fn launch(&self, request: Request<v1::LaunchRequest>) -> Result<Response<v1::LaunchReply>, Status> {
        self.check(&request)?;
        let launch = decode::launch(request.into_inner())?;
        let (run, created) = self.server.launch(launch).await.map_err(status)?;
        Ok(Response::new(v1::LaunchReply {
            run_id: run.into(),
            created,
        }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::RunView>, Status> {
        self.check(&request)?;
        let handle = self.handle(&run_id(&request.get_ref().run_id)?).await?;
        Ok(Response::new(handle.view.borrow().clone()))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListReply>, Status> {
        self.check(&request)?;
        Ok(Response::new(v1::ListReply {
            runs: self.server.views().await,
            now_ms: jiff::Timestamp::now().as_millisecond(),
        }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.check(&request)?;
        let (run, next_line) = decode::watch(request.get_ref())?;
        let mut handle = self.handle(&run).await?;
        handle.view.mark_changed();
        let watcher = Watcher {
            end: handle.output.end(),
            handle,
            next_line,
            ready: VecDeque::new(),
            done: false,
            stop: self.stop.clone(),
        };
        let events = futures::stream::unfold(watcher, async |mut watcher| {
            let event = watcher.next().await?;
            Some((Ok(event), watcher))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::RunView>, Status> {
        self.check(&request)?;
        let (run, level) = decode::cancel(request.get_ref())?;
        Ok(Response::new(
            self.server.cancel(&run, level).await.map_err(status)?,
        ))
    }

    async fn extend(&self, request: Request<v1::ExtendRequest>) -> Result<Response<v1::RunView>, Status> {
        self.check(&request)?;
        let (run, from_now) = decode::extension(request.get_ref())?;
        let view = self.server.extend(&run, from_now).await.map_err(status)?;
        Ok(Response::new(view))
    }

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionBytes>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.check(&request)?;
        let mut from_client = request.into_inner();
        let first = tokio::time::timeout(FIRST_WORD, from_client.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no word came in time"))??;
        let entry = self.session_of(&decode::session(first)?).await?;
        let (to, from) = entry.carriers.connect().await.map_err(no_session)?;
        let mut stop = self.stop.clone();
        let there = async move {
            while let Ok(Some(piece)) = from_client.message().await {
                if !to.send(piece.bytes).await {
                    return;
                }
            }
        };
        let over = async move {
            tokio::select! {
                () = there => {}
                _ = stop.wait_for(|&stop| stop) => {}
            }
        };
        let back = from.map(|piece| {
            let bytes = piece.map_err(no_session)?.to_vec();
            Ok(v1::SessionBytes {
                bytes,
                ..v1::SessionBytes::default()
            })
        });
        Ok(Response::new(Box::pin(back.take_until(over))))
    }

    async fn end_session(
        &self,
        request: Request<v1::EndSessionRequest>,
    ) -> Result<Response<v1::EndSessionReply>, Status> {
        self.check(&request)?;
        let entry = self.session_of(&run_id(&request.get_ref().run_id)?).await?;
        entry.carriers.end_session().await.map_err(no_session)?;
        Ok(Response::new(v1::EndSessionReply {}))
    }

    async fn get_store(
        &self,
        request: Request<v1::GetStoreRequest>,
    ) -> Result<Response<v1::GetStoreReply>, Status> {
        self.check(&request)?;
        Ok(Response::new(self.shelf()?.place()))
    }

    async fn tunnel_store(
        &self,
        request: Request<Streaming<v1::StoreBytes>>,
    ) -> Result<Response<Self::TunnelStoreStream>, Status> {
        self.check(&request)?;
        let unavailable =
            |error: io::Error| Status::unavailable(format!("the store does not answer: {error}"));
        let socket = self.shelf()?.connect().await.map_err(unavailable)?;
        let socket = socket.ok_or_else(|| {
            Status::failed_precondition(
                "the store is not on this machine: it is reached without the coordinator",
            )
        })?;
        let mut stop = self.stop.clone();
        let stopped = async move { drop(stop.wait_for(|&stop| stop).await) };
        let pieces = request.into_inner().map_ok(|piece| piece.bytes);
        let back = tunnel::carry(tunnel::prompt(socket), pieces).map(move |piece| {
            let bytes = piece.map_err(unavailable)?;
            Ok(v1::StoreBytes { bytes })
        });
        Ok(Response::new(Box::pin(back.take_until(stopped))))
    }
}
