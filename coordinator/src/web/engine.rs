//! The engine's own pages, which no port of a node is open for: asked for through the streams on which the run's master
//! waits. A page of an engine is the job's to write, so it is kept away from ours: a policy lets it load and call what is
//! below its own path and nothing else.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mayfly_proto::v1::{CarryDown, CarryHead, CarryHeader};
use url::Url;

use super::answer::{Answer, Refused, of_others};
use crate::server::{Answered, Carriers, CarryError};

/// What a page may know of who asks: nothing that says who it is.
const ASKED: [HeaderName; 5] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
];
/// What of an answer's headers goes on to the browser. No cookie among them.
const PASSED: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_DISPOSITION,
    CACHE_CONTROL,
    ETAG,
    LAST_MODIFIED,
    VARY,
];
/// Where the pages are for the browser, as Spark's own pages and others know it.
const PREFIX: &str = "x-forwarded-context";

/// Where the pages are for the browser: `http://host:port` and `/runs/…/spark`.
pub(super) struct Seat {
    pub(super) origin: String,
    pub(super) prefix: String,
}

/// What is asked of the engine's page for what is asked of us.
pub(super) fn request(seat: &Seat, path: &str, query: Option<&str>, headers: &HeaderMap) -> CarryDown {
    let below = path.strip_prefix(&seat.prefix).unwrap_or("/");
    let below = if below.is_empty() { "/" } else { below };
    let asked = ASKED.iter().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(header(name.as_str(), value))
    });
    CarryDown {
        path: query.map_or_else(|| below.to_owned(), |query| format!("{below}?{query}")),
        headers: asked.chain([header(PREFIX, &seat.prefix)]).collect(),
        ..CarryDown::default()
    }
}

pub(super) fn header(name: &str, value: &str) -> CarryHeader {
    CarryHeader {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Asks the run's master.
///
/// # Errors
/// Nobody answers there.
pub(super) async fn carried(carriers: &Carriers, seat: &Seat, ui: &str, asked: &CarryDown) -> Answer {
    let answered = carriers.ask(asked).await.map_err(|error| refused(&error))?;
    passed(seat, ui, answered)
}

/// What the engine answered, for the browser.
pub(super) fn passed(
    seat: &Seat,
    ui: &str,
    answered: Answered<impl Stream<Item = Result<Bytes, CarryError>> + Send + 'static>,
) -> Answer {
    let body = Body::from_stream(answered.body.map_err(std::io::Error::other));
    answer(seat, ui, &answered.head, body)
}

pub(super) fn refused(error: &CarryError) -> Refused {
    let status = match error {
        CarryError::Nobody | CarryError::Busy | CarryError::Crowded => StatusCode::SERVICE_UNAVAILABLE,
        CarryError::Slow => StatusCode::GATEWAY_TIMEOUT,
        CarryError::Failed(_) | CarryError::Broken(_) => StatusCode::BAD_GATEWAY,
    };
    Refused::new(status, error.to_string())
}

/// The answer for the browser.
pub(super) fn answer(seat: &Seat, ui: &str, head: &CarryHead, body: Body) -> Answer {
    let status = u16::try_from(head.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| !status.is_informational());
    let status =
        status.ok_or_else(|| Refused::new(StatusCode::BAD_GATEWAY, "The page answered with no status."))?;
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for CarryHeader { name, value } in &head.headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        if name == LOCATION {
            let away = || Refused::new(StatusCode::BAD_GATEWAY, "The page leads away from this run.");
            let to = located(seat, ui, value).ok_or_else(away)?;
            headers.insert(LOCATION, HeaderValue::from_str(&to).map_err(|_| away())?);
        } else if PASSED.contains(&name)
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.insert(name, value);
        }
    }
    of_others(headers, &policy(seat));
    Ok(answer)
}

/// What a page of an engine may do: what engines' pages need, below their own path. Paths count as long as no redirection
/// leads elsewhere, and [`located`] lets none.
fn policy(seat: &Seat) -> String {
    let own = format!("{}{}/", seat.origin, seat.prefix);
    // Of `http` and `https`: a WebSocket is an address of its own.
    let sockets = own.replacen("http", "ws", 1);
    format!(
        "default-src 'none'; script-src {own} 'unsafe-inline' 'unsafe-eval'; style-src {own} 'unsafe-inline'; \
         img-src {own} data:; font-src {own} data:; connect-src {own} {sockets}; form-action {own}; frame-src 'none'; \
         worker-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Where a redirection leads for the browser; `None` when that is not below the pages of this run.
fn located(seat: &Seat, ui: &str, to: &str) -> Option<String> {
    let ui = Url::parse(ui).ok()?;
    // As the engine sees it: relative to its own root, or below ours, which it was told.
    let url = ui.join(to).ok()?;
    let path = url.path();
    let same = url.origin() == ui.origin();
    let ours = url.origin().ascii_serialization() == seat.origin;
    if !same && !ours {
        return None;
    }
    let below = path == seat.prefix
        || path
            .strip_prefix(&seat.prefix)
            .is_some_and(|rest| rest.starts_with('/'));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    match (below, ours) {
        (true, _) => Some(format!("{path}{query}")),
        (false, true) => None,
        (false, false) => Some(format!("{}{path}{query}", seat.prefix)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UI: &str = "http://127.9.9.9:8080";

    fn seat() -> Seat {
        Seat {
            origin: "http://127.0.0.1:7070".into(),
            prefix: "/runs/a-abcdefgh/spark".into(),
        }
    }

    #[test]
    fn a_redirection_stays_below_the_run() {
        for (given, to) in [
            (
                "http://127.9.9.9:8080/jobs/?x=1",
                Some("/runs/a-abcdefgh/spark/jobs/?x=1"),
            ),
            ("/jobs/", Some("/runs/a-abcdefgh/spark/jobs/")),
            ("jobs/", Some("/runs/a-abcdefgh/spark/jobs/")),
            (
                "/runs/a-abcdefgh/spark/jobs/",
                Some("/runs/a-abcdefgh/spark/jobs/"),
            ),
            (
                "http://127.0.0.1:7070/runs/a-abcdefgh/spark/x",
                Some("/runs/a-abcdefgh/spark/x"),
            ),
            (
                "/runs/a-abcdefgh/spark/../cancel",
                Some("/runs/a-abcdefgh/spark/runs/a-abcdefgh/cancel"),
            ),
            ("http://127.0.0.1:7070/runs/a-abcdefgh/cancel", None),
            ("http://127.0.0.1:7070/runs/a-abcdefgh/sparks", None),
            ("http://evil.example/", None),
            ("//evil.example/", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(located(&seat(), UI, given).as_deref(), to, "{given}");
        }
    }

    #[test]
    fn what_a_page_says_of_others_is_not_passed_on() {
        let head = CarryHead {
            status: 200,
            headers: [
                ("Content-Type", "text/html"),
                ("Set-Cookie", "mayfly-7070=x"),
                ("Content-Security-Policy", "default-src *"),
                ("Access-Control-Allow-Origin", "*"),
                ("Clear-Site-Data", "*"),
                ("bad name", "x"),
            ]
            .map(|(name, value)| header(name, value))
            .to_vec(),
        };
        let answer = answer(&seat(), UI, &head, Body::empty()).unwrap();
        let mut names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-security-policy",
                "content-type",
                "cross-origin-opener-policy"
            ]
        );
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains(
                "connect-src http://127.0.0.1:7070/runs/a-abcdefgh/spark/ ws://127.0.0.1:7070/runs/a-abcdefgh/spark/;"
            ),
            "{policy}"
        );
        let odd = CarryHead {
            status: 99,
            headers: Vec::new(),
        };
        assert!(super::answer(&seat(), UI, &odd, Body::empty()).is_err());
    }

    #[test]
    fn a_request_says_nothing_of_who_asks() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static("mayfly-7070=secret"));
        headers.insert("authorization", HeaderValue::from_static("Bearer secret"));
        headers.insert("accept", HeaderValue::from_static("text/html"));
        let asked = request(&seat(), "/runs/a-abcdefgh/spark/jobs/", Some("a=b"), &headers);
        assert_eq!(asked.path, "/jobs/?a=b");
        let names: Vec<_> = asked.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["accept", PREFIX]);
        assert_eq!(
            request(&seat(), "/runs/a-abcdefgh/spark", None, &headers).path,
            "/"
        );
    }

    proptest! {
        /// Whatever a node says of an answer, no more of it gets through, and nobody is led away from the run's pages.
        #[test]
        fn any_head_is_refused_or_made_harmless(
            status in prop_oneof![200u32..600, any::<u32>()],
            to in prop_oneof!["[ -~]{0,30}", "(http://127.9.9.9:8080|//)?[a-z./@:#?%]{0,20}", ".{0,20}"],
            name in prop_oneof!["[ -~]{0,12}", Just("etag".to_owned()), Just("set-cookie".to_owned())],
        ) {
            let headers = vec![header("location", &to), header(&name, &to)];
            if let Ok(answer) = answer(&seat(), UI, &CarryHead { status, headers }, Body::empty()) {
                let to = answer.headers()[LOCATION].to_str().unwrap();
                let below = to.strip_prefix(&seat().prefix);
                prop_assert!(below.is_some_and(|below| below.is_empty() || below.starts_with('/')), "{}", to);
                prop_assert!(answer.headers().len() <= 4 && !answer.headers().contains_key("set-cookie"));
            }
        }
    }
}
