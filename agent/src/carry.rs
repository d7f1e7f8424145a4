//! The pages of the engine, for people who reach the coordinator and no node: the master waits at the coordinator for
//! requests, asks its own engine, and sends the answer back. It connects to the one address that it reports as its
//! engine's page, and only reads; a page that wants to be told of news has a WebSocket ([`socket`]). Where the job is a
//! [`session`] of the engine, it connects to that as well.

mod session;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, TryStreamExt as _};
use mayfly_kit::admin::Loop;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use mayfly_kit::tunnel;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryHeader, CarryHello, CarryUp, EngineReport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use url::Url;

use crate::attempt::Facts;
use crate::identity::Session;
use crate::node::Role;
use crate::sync::Report;
use crate::visits::Visits;

pub use session::Visited;

/// Requests that are answered at one time: as many as a browser makes of one host.
const STREAMS: usize = 6;
/// Messages of an answer under way.
const QUEUE: usize = 4;
/// Bytes of one message.
const PIECE: usize = 64 * 1024;
/// For the engine to begin with its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// For the coordinator to take the rest of an answer.
const TAKEN_LIMIT: Duration = Duration::from_secs(10);
/// For a connection to it.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const RETRY: Policy = Policy {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(5),
    budget: Duration::MAX,
};
/// Before a coordinator that does not know this call is asked again: the next one may.
const UNKNOWN_WAIT: Duration = Duration::from_secs(300);

/// What says whether there are pages, and who we are.
#[derive(Clone)]
pub struct Carrier {
    /// Who we are.
    pub session: watch::Receiver<Option<Session>>,
    /// What the engine is.
    pub facts: watch::Receiver<Facts>,
    /// What this node is.
    pub node: watch::Receiver<Report>,
    /// The session that its job may be.
    pub visits: Visited,
}

/// Why a stream is over.
enum Ended {
    /// A request has been answered.
    Answered,
    /// The coordinator wants no more of them now, or is away.
    Lost(Code),
    /// Nothing is to be served any more.
    Stopped,
}

impl Carrier {
    /// Serves until the node ends; `pulse` is the line on `/status`.
    pub async fn run(self, pulse: Loop) {
        pulse.status("carries the engine's pages while there are any");
        let client = reqwest::Client::builder()
            .no_proxy()
            // A connection that is kept may be closed by the engine in the very moment in which it is used again.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(ANSWER_LIMIT)
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return tracing::warn!(%error, "the engine's pages cannot be shown elsewhere"),
        };
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            streams.spawn(self.clone().stream(client.clone()));
        }
        while streams.join_next().await.is_some() {}
    }

    /// One stream after the other.
    async fn stream(mut self, client: reqwest::Client) {
        let mut waits = Backoff::new(RETRY, jitter);
        let mut connections = JoinSet::new();
        while let Some((session, ui)) = self.served().await {
            while connections.try_join_next().is_some() {}
            match self.one(&session, ui.as_ref(), &client, &mut connections).await {
                Ended::Answered | Ended::Stopped => waits.reset(),
                Ended::Lost(Code::Unimplemented) => tokio::time::sleep(UNKNOWN_WAIT).await,
                Ended::Lost(_) => tokio::time::sleep(waits.next().unwrap_or(RETRY.cap)).await,
            }
        }
    }

    /// The pages that there are, as soon as there is something to serve; `None` when the node ends.
    async fn served(&mut self) -> Option<(Session, Option<Url>)> {
        loop {
            let is_master = self.node.borrow_and_update().role == Some(Role::Master);
            let ui = page(&self.facts.borrow_and_update().engine);
            let session = self.session.borrow_and_update().clone();
            let serves = is_master && (ui.is_some() || self.visits.is_possible());
            if let (true, Some(session)) = (serves, session) {
                return Some((session, ui));
            }
            self.changed().await?;
        }
    }

    async fn changed(&mut self) -> Option<()> {
        tokio::select! {
            changed = self.node.changed() => changed.ok(),
            changed = self.facts.changed() => changed.ok(),
            changed = self.session.changed() => changed.ok(),
        }
    }

    /// Until the pages are others, or we are.
    async fn is_over(&mut self, ui: Option<&Url>) {
        loop {
            let same = page(&self.facts.borrow_and_update().engine).as_ref() == ui;
            if !same {
                return;
            }
            tokio::select! {
                changed = self.facts.changed() => if changed.is_err() { return },
                // With another session the connection is another one too.
                _ = self.session.changed() => return,
            }
        }
    }

    /// Waits for a request and answers it. A connection goes on among the `connections`.
    async fn one(
        &mut self,
        session: &Session,
        ui: Option<&Url>,
        client: &reqwest::Client,
        connections: &mut JoinSet<()>,
    ) -> Ended {
        let (up, stream) = mpsc::channel(QUEUE);
        let hello = CarryHello {
            run_id: session.run.to_string(),
            node_id: session.node.to_string(),
        };
        // The queue is empty: this does not wait, and its other end is below.
        let _ = up.send(message(What::Hello(hello))).await;
        let mut coordinator = session.client();
        let opening = coordinator.carry(session.request(ReceiverStream::new(stream)));
        let mut down = match opening.await {
            Ok(down) => down.into_inner(),
            Err(status) => return Ended::Lost(status.code()),
        };
        let asked = tokio::select! {
            asked = down.message() => asked,
            () = self.is_over(ui) => return Ended::Stopped,
        };
        match asked {
            Ok(Some(asked)) => {
                if asked.session {
                    connections.spawn(self.visits.clone().connect(up, down));
                    return Ended::Answered;
                }
                if asked.socket {
                    connections.spawn(socket::open(up, down, ui.cloned(), client.clone(), asked));
                    return Ended::Answered;
                }
                // Whoever asked may have left: then nobody takes the answer.
                let _ = if asked.end_session {
                    self.visits.end(&up).await
                } else {
                    answer(&up, ui, client, &asked).await
                };
                taken(up, down).await;
                Ended::Answered
            }
            Ok(None) => Ended::Lost(Code::Ok),
            Err(status) => Ended::Lost(status.code()),
        }
    }
}

/// The page that an engine has, if it runs.
fn page(engine: &EngineReport) -> Option<Url> {
    let url = Url::parse(&engine.ui).ok()?;
    (engine.running && url.scheme() == "http" && url.has_host()).then_some(url)
}

fn message(what: What) -> CarryUp {
    CarryUp { what: Some(what) }
}

fn failure(why: String) -> CarryUp {
    message(What::Failed(why))
}

/// Waits until the coordinator has the whole answer, and has ended the call: one that is dropped takes with it what has not
/// been sent.
async fn taken(up: mpsc::Sender<CarryUp>, mut down: Streaming<CarryDown>) {
    drop(up);
    // A coordinator that does not take it has left.
    let _ = timeout(TAKEN_LIMIT, down.message()).await;
}

/// Carries what goes and comes over a connection until either side has enough; `visits` is told of both.
async fn carry(
    socket: impl AsyncRead + AsyncWrite + Send + 'static,
    up: mpsc::Sender<CarryUp>,
    down: impl Stream<Item = Result<CarryDown, Status>> + Send + Unpin + 'static,
    visits: &Arc<Visits>,
) {
    let visited = Arc::clone(visits);
    let pieces = down.map_ok(move |piece| {
        visited.seen();
        piece.data
    });
    tunnel::join(socket, pieces, up, |data| {
        visits.seen();
        message(What::Data(data))
    })
    .await;
}

type Gone = mpsc::error::SendError<CarryUp>;

/// Asks the engine's page, and sends what it answers.
///
/// # Errors
/// Nobody takes the answer any more.
pub async fn answer(
    up: &mpsc::Sender<CarryUp>,
    ui: Option<&Url>,
    client: &reqwest::Client,
    asked: &CarryDown,
) -> Result<(), Gone> {
    let answered = match request(ui, client, asked) {
        Ok(request) => sent(request).await,
        Err(why) => Err(why),
    };
    tell(up, answered).await
}

/// What is asked of the engine's page.
fn request(
    ui: Option<&Url>,
    client: &reqwest::Client,
    asked: &CarryDown,
) -> Result<reqwest::RequestBuilder, String> {
    let ui = ui.ok_or("the engine has no page")?;
    let url = target(ui, &asked.path).ok_or("that is no path")?;
    let with = |request: reqwest::RequestBuilder, CarryHeader { name, value }: &CarryHeader| {
        request.header(name, value)
    };
    Ok(asked.headers.iter().fold(client.get(url), with))
}

/// The answer to it, or why there is none.
async fn sent(request: reqwest::RequestBuilder) -> Result<reqwest::Response, String> {
    match timeout(ANSWER_LIMIT, request.send()).await {
        Ok(answered) => answered.map_err(why),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

/// Sends what the engine's page answered.
async fn tell(up: &mpsc::Sender<CarryUp>, answered: Result<reqwest::Response, String>) -> Result<(), Gone> {
    let mut answered = match answered {
        Ok(answered) => answered,
        Err(why) => return up.send(failure(why)).await,
    };
    up.send(message(What::Head(head(&answered)))).await?;
    loop {
        match answered.chunk().await {
            Ok(Some(chunk)) => {
                for piece in chunk.chunks(PIECE) {
                    up.send(message(What::Data(piece.to_vec()))).await?;
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => return up.send(failure(why(error))).await,
        }
    }
}

fn why(error: reqwest::Error) -> String {
    mayfly_kit::error::chain(&error.without_url())
}

fn head(answered: &reqwest::Response) -> CarryHead {
    let headers = answered.headers().iter().filter_map(|(name, value)| {
        Some(CarryHeader {
            name: name.as_str().to_owned(),
            value: value.to_str().ok()?.to_owned(),
        })
    });
    CarryHead {
        status: answered.status().as_u16().into(),
        headers: headers.collect(),
    }
}

/// A path at the engine's own address. Whatever it says, it stays there.
fn target(ui: &Url, path: &str) -> Option<Url> {
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = ui.clone();
    url.set_path(path);
    url.set_query(query);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stays_at_the_engines_own_address() {
        let ui = Url::parse("http://127.9.9.9:8080").unwrap();
        for (path, to) in [
            ("/", "http://127.9.9.9:8080/"),
            ("/jobs/?a=b%20c&d=e", "http://127.9.9.9:8080/jobs/?a=b%20c&d=e"),
            ("//evil.example/x", "http://127.9.9.9:8080//evil.example/x"),
            ("/../x", "http://127.9.9.9:8080/x"),
            ("/@evil.example", "http://127.9.9.9:8080/@evil.example"),
            ("/x#y", "http://127.9.9.9:8080/x%23y"),
        ] {
            assert_eq!(target(&ui, path).unwrap().as_str(), to, "{path}");
        }
        for bad in ["", "x", "http://evil.example/", "/a b", "/a\r\nHost: x", "/é"] {
            assert!(target(&ui, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_engine_has_pages_while_it_runs() {
        let report = |running, ui: &str| EngineReport {
            running,
            ui: ui.to_owned(),
            ..EngineReport::default()
        };
        assert!(page(&report(true, "http://127.9.9.9:8080")).is_some());
        for none in [
            report(false, "http://127.9.9.9:8080"),
            report(true, ""),
            report(true, "file:///etc/passwd"),
        ] {
            assert!(page(&none).is_none(), "{none:?}");
        }
    }
}
