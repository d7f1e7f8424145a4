//! Pages of an engine and its session, carried between the coordinator and a node: what the node says on its stream, and
//! what it is asked there.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::TryStreamExt as _;
use http_body_util::Full;
use mayfly_agent::carry;
use mayfly_coordinator::server::Carriers;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryUp};
use prost::Message as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic::codec::Codec as _;
use tonic_prost::ProstCodec;
use url::Url;

use crate::liar::{Answer, Liar, parts};

/// As the coordinator takes them.
const MESSAGE_MAX: usize = 4 << 20;
/// Messages of one answer, of an input however large.
const QUEUE: usize = 1 << 16;
const LIMIT: Duration = Duration::from_secs(2);

static LIAR: LazyLock<Liar> = LazyLock::new(Liar::start);
static PAGE: LazyLock<Url> =
    LazyLock::new(|| format!("http://{}", LIAR.address()).parse().expect("an address"));
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT);
    let client = client.pool_max_idle_per_host(0);
    client
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
});

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let [down, up, page] = parts(bytes);
    asked(&down, page);
    answered(&framed(&up));
}

/// The node is asked for a page: it answers with one head and a body, or says why not.
fn asked(down: &[u8], page: Vec<u8>) {
    let Ok(asked) = CarryDown::decode(down) else {
        return;
    };
    let (up, mut sent) = mpsc::channel(QUEUE);
    LIAR.during(move |_| Answer::of(&page), async {
        let _ = carry::answer(&up, Some(&*PAGE), &CLIENT, &asked).await;
    });
    let first = sent.try_recv().expect("an answer").what;
    assert!(
        matches!(first, Some(What::Head(_) | What::Failed(_))),
        "{first:?} comes first"
    );
    while let Ok(next) = sent.try_recv() {
        assert!(
            matches!(next.what, Some(What::Data(_) | What::Failed(_))),
            "{next:?}"
        );
    }
}

/// Messages as they are on the wire; the rest of the input is there as it is.
fn framed(mut input: &[u8]) -> Bytes {
    let mut frames = BytesMut::new();
    while let Ok(length) = prost::decode_length_delimiter(&mut input) {
        if length > input.len() {
            break;
        }
        let (message, rest) = input.split_at(length);
        frames.put_u8(0);
        frames.put_u32(u32::try_from(length).expect("a short message"));
        frames.put_slice(message);
        input = rest;
    }
    frames.put_slice(input);
    frames.freeze()
}

/// The coordinator asks for a page and for a session, and a node answers each with this.
fn answered(frames: &Bytes) {
    runtime().block_on(async {
        let carriers = Carriers::default();
        let down = carriers.offer(stream(frames)).expect("a place");
        let request = CarryDown::default();
        if let Ok(page) = carriers.ask(&request).await {
            let _ = page.body.try_for_each(|_| async { Ok(()) }).await;
        }
        drop(down);
        let down = carriers.offer(stream(frames)).expect("a place");
        if let Ok((to, from)) = carriers.connect().await {
            let _ = from.try_for_each(|_| async { Ok(()) }).await;
            drop(to);
        }
        drop(down);
    });
}

fn stream(frames: &Bytes) -> Streaming<CarryUp> {
    let decoder = ProstCodec::<CarryUp, CarryUp>::default().decoder();
    Streaming::new_request(decoder, Full::new(frames.clone()), None, Some(MESSAGE_MAX))
}

/// Its clock goes on at once where nothing else does: nobody waits for a node that says no more.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}
