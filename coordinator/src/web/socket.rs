//! WebSockets of the engine's own pages: Dask's charts move by one. They are of HTTP/1.1, which a browser speaks for them
//! over TLS, too. What is in one is between the page and the engine: its bytes are carried as they come.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mayfly_proto::v1::{CarryDown, CarryHead};

use super::Web;
use super::answer::Answer;
use super::engine::{self, Seat, header};
use crate::server::{Carriers, Opened, Socket};

/// What a browser proposes to the engine.
const PROPOSED: [HeaderName; 4] = [
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_EXTENSIONS,
];
/// What the engine agrees to.
const AGREED: [HeaderName; 3] = [
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_EXTENSIONS,
];

/// Whether a request wants one. What wants to become something else is answered as if it did not.
pub(super) fn is_wanted(request: &Request) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(request.headers(), &CONNECTION, "upgrade")
        && names(request.headers(), &UPGRADE, "websocket")
}

/// Whether a header that is a list has this in it.
fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
}

/// Asks the run's master for one.
///
/// # Errors
/// Nobody answers there; there are too many.
pub(super) async fn carried(
    web: &Web,
    carriers: &Carriers,
    seat: &Seat,
    ui: &str,
    asked: CarryDown,
    mut request: Request,
) -> Answer {
    let browser = hyper::upgrade::on(&mut request);
    let opened = carriers.open(&proposed(asked, request.headers())).await;
    match opened.map_err(|error| engine::refused(&error))? {
        Opened::Page(answered) => engine::passed(seat, ui, answered),
        Opened::Socket(socket) => {
            let answer = agreed(&socket.head);
            web.0.sockets.spawn(joined(web.clone(), browser, socket));
            Ok(answer)
        }
    }
}

fn proposed(mut asked: CarryDown, headers: &HeaderMap) -> CarryDown {
    let proposed = PROPOSED.iter().flat_map(|name| {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| Some(header(name.as_str(), value.to_str().ok()?)))
    });
    asked.headers.extend(proposed);
    asked.socket = true;
    asked
}

fn agreed(head: &CarryHead) -> Response {
    let mut answer = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = answer.headers_mut();
    for said in &head.headers {
        let name = AGREED.iter().find(|name| name.as_str() == said.name);
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(&said.value)) {
            headers.append(name, value);
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer
}

/// Carries what goes and comes, until the coordinator stops at the latest.
async fn joined(web: Web, browser: OnUpgrade, socket: Socket) {
    let mut stop = web.stop();
    let carried = async {
        match browser.await {
            Ok(browser) => socket.carry(TokioIo::new(browser)).await,
            Err(error) => tracing::debug!(%error, "a browser left before its WebSocket was there"),
        }
    };
    tokio::select! {
        () = carried => {}
        // An error means the same.
        _ = stop.wait_for(|&stop| stop) => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked(version: Version, headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::builder().version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_websocket_is_told_from_everything_else() {
        let http1 = Version::HTTP_11;
        for (version, connection, upgrade, is) in [
            (http1, "Upgrade", "websocket", true),
            (http1, "keep-alive, Upgrade", "WebSocket", true),
            (http1, "upgrade", "h2c, websocket", true),
            (http1, "upgrade", "h2c", false),
            (http1, "keep-alive", "websocket", false),
            (http1, "upgrade", "websockets", false),
            (Version::HTTP_10, "upgrade", "websocket", false),
            (Version::HTTP_2, "upgrade", "websocket", false),
        ] {
            let request = asked(version, &[("connection", connection), ("upgrade", upgrade)]);
            assert_eq!(is_wanted(&request), is, "{version:?} {connection} {upgrade}");
        }
        let mut post = asked(http1, &[("connection", "upgrade"), ("upgrade", "websocket")]);
        *post.method_mut() = Method::POST;
        assert!(!is_wanted(&post));
    }

    #[test]
    fn the_handshake_is_passed_on_and_nothing_of_who_asks() {
        let headers = [
            ("cookie", "mayfly-7070=secret"),
            ("origin", "http://127.0.0.1:7070"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "bokeh"),
            ("sec-websocket-protocol", "token"),
        ];
        let request = asked(Version::HTTP_11, &headers);
        let asked = proposed(CarryDown::default(), request.headers());
        let passed: Vec<_> = asked.headers.iter().map(|header| header.value.as_str()).collect();
        assert_eq!(passed, ["dGhlIHNhbXBsZSBub25jZQ==", "13", "bokeh", "token"]);
        assert!(asked.socket);
    }

    #[test]
    fn what_an_engine_agrees_to_and_no_more_is_passed_back() {
        let head = CarryHead {
            status: 101,
            headers: [
                ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                ("sec-websocket-protocol", "bokeh"),
                ("set-cookie", "mayfly-7070=x"),
                ("upgrade", "h2c"),
            ]
            .map(|(name, value)| header(name, value))
            .to_vec(),
        };
        let answer = agreed(&head);
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "connection",
            "sec-websocket-accept",
            "sec-websocket-protocol",
            "upgrade",
        ];
        assert_eq!(names, expected);
        assert_eq!(answer.headers()[UPGRADE], "websocket");
    }
}
