//! Against a small HTTP server that answers as it is told, lies included.

mod keys;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const ID: &str = "/latest/meta-data/instance-id";

/// What the server does; all of it may be changed at any time.
#[derive(Default)]
struct Says {
    /// What is asked for without a token that is still good is refused.
    tokens: Vec<String>,
    /// Answered to `PUT`, in place of a good token.
    token: Option<Bytes>,
    life_secs: Option<u64>,
    pages: HashMap<String, Bytes>,
    /// Answered to everything but tokens.
    status: Option<u16>,
    date: Option<&'static str>,
    /// Sends the body and no end of it.
    stalls: bool,
    asked: Vec<(Method, String)>,
}

struct Fake {
    says: Arc<Mutex<Says>>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start() -> Self {
        let says: Arc<Mutex<Says>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&says));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            says,
            address,
            _tasks: tasks,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    fn page(&self, path: &str, text: impl Into<Bytes>) {
        self.change(|says| {
            says.pages.insert(path.to_owned(), text.into());
        });
    }

    fn imds(&self) -> Imds {
        Imds::at(&format!("http://{}", self.address)).unwrap()
    }

    fn count(&self, method: Method) -> usize {
        let says = self.says.lock().unwrap();
        says.asked.iter().filter(|(asked, _)| *asked == method).count()
    }
}

async fn answer(State(says): State<Arc<Mutex<Says>>>, request: Request) -> Response {
    let mut says = says.lock().unwrap();
    let path = request.uri().path().to_owned();
    says.asked.push((request.method().clone(), path.clone()));
    let reply = |status: u16, body: Bytes| Response::builder().status(status).body(Body::from(body)).unwrap();
    if request.method() == Method::PUT && path == "/latest/api/token" {
        let wanted = request
            .headers()
            .get("x-aws-ec2-metadata-token-ttl-seconds")
            .cloned();
        assert_eq!(wanted.unwrap(), "21600");
        if let Some(token) = &says.token {
            return reply(200, token.clone());
        }
        let token = format!("token{}==", says.tokens.len());
        says.tokens = vec![token.clone()];
        let mut response = reply(200, token.into());
        if let Some(secs) = says.life_secs {
            response
                .headers_mut()
                .insert("x-aws-ec2-metadata-token-ttl-seconds", secs.into());
        }
        return response;
    }
    let shown = request.headers().get("x-aws-ec2-metadata-token");
    if !says
        .tokens
        .iter()
        .any(|token| shown.is_some_and(|shown| shown == token.as_str()))
    {
        return reply(401, Bytes::new());
    }
    if let Some(status) = says.status {
        let mut response = reply(status, Bytes::new());
        response
            .headers_mut()
            .insert(header::LOCATION, ID.parse().unwrap());
        return response;
    }
    let Some(page) = says.pages.get(&path).cloned() else {
        return reply(404, "not found".into());
    };
    let mut response = reply(200, page.clone());
    if says.stalls {
        let (sender, stream) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        sender.try_send(Ok(page)).unwrap();
        let endless = futures::stream::unfold((stream, sender), |(mut stream, sender)| async move {
            Some((stream.recv().await?, (stream, sender)))
        });
        response = Response::new(Body::from_stream(endless));
    }
    if let Some(date) = says.date {
        response.headers_mut().insert(DATE, date.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn one_token_serves_many_questions_and_a_refused_one_is_replaced() {
    let fake = Fake::start().await;
    fake.page(ID, "i-1");
    let imds = fake.imds();
    for _ in 0..3 {
        assert_eq!(imds.need("meta-data/instance-id").await.unwrap().text, "i-1");
    }
    assert_eq!(fake.count(Method::PUT), 1);
    fake.change(|says| says.tokens.clear());
    assert_eq!(imds.need("meta-data/instance-id").await.unwrap().text, "i-1");
    assert_eq!(fake.count(Method::PUT), 2);
    assert!(imds.get("meta-data/nothing").await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_is_renewed_before_its_life_ends() {
    let fake = Fake::start().await;
    fake.page(ID, "i-1");
    fake.change(|says| says.life_secs = Some(0));
    let imds = fake.imds();
    imds.need("meta-data/instance-id").await.unwrap();
    imds.need("meta-data/instance-id").await.unwrap();
    assert_eq!(fake.count(Method::PUT), 2);
    let life = Duration::from_secs(100);
    let token = Token::new("abc", Instant::now(), life).unwrap();
    assert!(token.is_good(Instant::now()) && !token.is_good(Instant::now() + life * 9 / 10));
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_and_not_shown() {
    let fake = Fake::start().await;
    let long = "x".repeat(10_000_000);
    for (token, says) in [
        ("", "0 bytes"),
        ("<html>sesame</html>", "19 bytes"),
        ("two words sesame", "16 bytes"),
        (long.as_str(), "longer than 65536"),
    ] {
        fake.change(|known| known.token = Some(Bytes::from(token.to_owned())));
        let error = fake
            .imds()
            .get("meta-data/instance-id")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(says) && !error.contains("sesame"), "{error}");
    }
    fake.change(|known| {
        known.token = Some(Bytes::from_static(b"with-a-line-end\n"));
        known.tokens = vec!["with-a-line-end".into()];
    });
    assert!(fake.imds().get("meta-data/instance-id").await.unwrap().is_none());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_trouble_is_named() {
    let fake = Fake::start().await;
    fake.page(ID, "i-1");
    for status in [302, 307, 403, 500, 503] {
        fake.change(|says| says.status = Some(status));
        let before = fake.count(Method::GET);
        let error = fake.imds().get("meta-data/other").await.unwrap_err();
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(fake.count(Method::GET), before + 1);
    }
}

#[tokio::test]
async fn answers_that_are_too_long_or_no_text_or_never_end_are_given_up() {
    let fake = Fake::start().await;
    fake.page(ID, vec![b'x'; 10_000_000]);
    let get = || async { fake.imds().get("meta-data/instance-id").await.unwrap_err() };
    assert!(matches!(get().await, ImdsError::TooLarge { .. }));
    fake.page(ID, vec![0xff, 0xfe]);
    assert!(matches!(get().await, ImdsError::Malformed { .. }));
    fake.page(ID, "i-");
    fake.change(|says| says.stalls = true);
    let began = Instant::now();
    assert!(matches!(get().await, ImdsError::Broken { .. }));
    assert!(began.elapsed() < CALL_TIMEOUT * 2);
}

#[tokio::test]
async fn nobody_there_is_tried_again_until_the_time_is_up() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let imds = Imds::at(&format!("http://{closed}")).unwrap();
    let tries = std::cell::Cell::new(0);
    let until = Instant::now() + Duration::from_secs(1);
    let ask = || async {
        tries.set(tries.get() + 1);
        imds.need("meta-data/instance-id").await
    };
    let error = Imds::patiently(until, ask).await.unwrap_err();
    assert!(matches!(error, ImdsError::Unreachable { .. }) && tries.get() > 1);
    assert!(Instant::now() <= until + CALL_TIMEOUT);
}

#[tokio::test]
async fn metadata_is_reached_over_ipv6_too() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return; // A machine without IPv6.
    };
    let address = listener.local_addr().unwrap();
    let says: Arc<Mutex<Says>> = Arc::default();
    says.lock().unwrap().pages.insert(ID.into(), "i-1".into());
    let app = Router::new().fallback(answer).with_state(says);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let imds = Imds::at(&format!("http://{address}")).unwrap();
    assert_eq!(imds.need("meta-data/instance-id").await.unwrap().text, "i-1");
}

#[test]
fn an_endpoint_is_an_address_and_nothing_else() {
    for bad in [
        "",
        "169.254.169.254",
        "ftp://a",
        "https://a",
        "http://a/latest",
        "http://u:p@a",
        "http://a/?x",
    ] {
        assert!(Imds::at(bad).is_err(), "{bad}");
    }
    assert!(Imds::at("http://[fd00:ec2::254]").is_ok() && Imds::at(ENDPOINT).is_ok());
}
