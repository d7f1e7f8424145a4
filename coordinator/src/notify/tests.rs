//! Against a real listener.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::post;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::record::Outcome;
use crate::why::samples::facts;

type Seen = Arc<(AtomicUsize, mpsc::Sender<(String, String, String)>)>;

async fn hook(State(seen): State<Seen>, headers: HeaderMap, body: String) -> StatusCode {
    // The first two tries are refused for now.
    if seen.0.fetch_add(1, Ordering::SeqCst) < 2 {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let header = |name: &str| {
        headers
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let told = (header("x-mayfly-event"), header("x-mayfly-signature"), body);
    seen.1.send(told).await.unwrap();
    StatusCode::NO_CONTENT
}

/// A listener with `/hook`, `/elsewhere` (which leads to it) and `/never` (which refuses), and what came to the first.
async fn listener(tasks: &mut JoinSet<()>) -> (String, mpsc::Receiver<(String, String, String)>, Seen) {
    let (sender, came) = mpsc::channel(16);
    let seen: Seen = Arc::new((AtomicUsize::new(0), sender));
    let app = Router::new()
        .route("/hook", post(hook))
        .route("/elsewhere", post(|| async { Redirect::temporary("/hook") }))
        .route("/never", post(|| async { StatusCode::GONE }))
        .with_state(Arc::clone(&seen));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tasks.spawn(async move { axum::serve(socket, app).await.unwrap() });
    (format!("http://{at}"), came, seen)
}

fn event(what: What) -> Event {
    let mut record = facts(Outcome::JobFailed, "", Some(1), "").record;
    record.owner = "me".to_owned();
    Event::of(what, &record, "for a reason", Timestamp::UNIX_EPOCH)
}

fn notify(reach: Reach) -> Notify {
    Notify {
        always: Vec::new(),
        secret: Some("hush".into()),
        reach,
    }
}

#[tokio::test]
async fn an_event_is_told_again_until_it_is_taken_and_its_signature_holds() {
    let mut tasks = JoinSet::new();
    let (url, mut came, _) = listener(&mut tasks).await;
    let hooks = [Webhook::new(&format!("{url}/hook?token=x")).unwrap()];
    let (notifier, posting) = of(&notify(Reach::Anywhere), &hooks);
    tasks.spawn(posting);
    notifier.tell(&event(What::Held));
    let (what, signed, body) = came.recv().await.unwrap();
    assert_eq!(what, "held");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&told["event"], &told["schema"], &told["reason"]),
        (&"held".into(), &1.into(), &"for a reason".into())
    );
    let at = signed
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(','))
        .unwrap()
        .0;
    assert_eq!(signed, signature("hush", at.parse().unwrap(), &body));
    assert_ne!(signed, signature("other", at.parse().unwrap(), &body));
}

#[tokio::test]
async fn what_refuses_for_good_is_left_and_a_redirect_is_not_followed() {
    let mut tasks = JoinSet::new();
    let (url, _came, seen) = listener(&mut tasks).await;
    let hooks = ["never", "elsewhere"].map(|path| Webhook::new(&format!("{url}/{path}")).unwrap());
    let (notifier, posting) = of(&notify(Reach::Anywhere), &hooks);
    notifier.tell(&event(What::Started));
    drop(notifier);
    tokio::time::timeout(Duration::from_secs(20), posting)
        .await
        .unwrap();
    assert_eq!(seen.0.load(Ordering::SeqCst), 0, "the redirect was followed");
}

#[tokio::test]
async fn a_job_of_a_server_does_not_reach_its_network() {
    let mut tasks = JoinSet::new();
    let (url, _came, seen) = listener(&mut tasks).await;
    let named = url.replace("127.0.0.1", "localhost");
    let hooks = [url, named].map(|url| Webhook::new(&format!("{url}/hook")).unwrap());
    let (notifier, posting) = of(&notify(Reach::Public), &hooks);
    notifier.tell(&event(What::Ended));
    drop(notifier);
    tokio::time::timeout(Duration::from_secs(20), posting)
        .await
        .unwrap();
    assert_eq!(seen.0.load(Ordering::SeqCst), 0);
}

#[test]
fn nobody_to_tell_is_nothing_to_keep() {
    let (notifier, _posting) = of(&notify(Reach::Public), &[]);
    for _ in 0..10 * QUEUE {
        notifier.tell(&event(What::Started));
    }
}

#[test]
fn a_signature_is_what_anybody_computes() {
    // printf "1700000000.{}" | openssl dgst -sha256 -hmac hush
    let signed = signature("hush", 1_700_000_000, "{}");
    let hex = "763081ea12e3b1f903f958994c023cde07f1224b02a538ad6f959112a2f780ba";
    assert_eq!(signed, format!("t=1700000000,v1={hex}"));
}
