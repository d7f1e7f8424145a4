//! Which path is what, and who may go there: read, call, show.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::records::Commit;
use mayfly_proto::{Attempt, RunId};

use super::access::{Viewer, key, only_reads, own_path};
use super::answer::{Answer, Refused, page, protect, see_other};
use super::engine::{self, Seat};
use super::query::Query;
use super::run::{LINES_FIRST, Whole};
use super::samples::Samples;
use super::shown::{Shown, master_of};
use super::{Web, assets, events, frame, index, list, logs, results, run, socket};
use crate::cli::{plain, runs};
use crate::history::Wanted;
use crate::record::{Receipt, RunRecord};
use crate::run::Cancel;
use crate::server::{Entry, ServerError};
use crate::tokens::same;

/// Largest form, in bytes.
const FORM_MAX: usize = 16 * 1024;
/// Largest `samples.json` and commit, in bytes.
const OBJECT_MAX: u64 = 32 << 20;
/// How long a wrong token holds its sender up.
const WRONG_WAIT: Duration = Duration::from_millis(500);

type Here = State<Web>;

/// All pages.
pub(super) fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(of_list))
        .route("/login", get(entrance).post(login))
        .route("/logout", post(logout))
        .route("/assets/{file}", get(asset))
        .route("/runs/{run}", get(of_run))
        .route("/runs/{run}/live", get(live))
        .route("/runs/{run}/log", get(of_log))
        .route("/runs/{run}/results", get(of_results))
        .route("/runs/{run}/result", get(of_result))
        .route("/runs/{run}/raw", get(raw))
        .route("/runs/{run}/cancel", post(cancel))
        .route("/runs/{run}/extend", post(extend))
        .route("/runs/{run}/history", post(open_history))
        .route("/runs/{run}/spark", get(spark))
        .route("/runs/{run}/spark/", get(spark))
        .route("/runs/{run}/spark/{*path}", get(spark))
        .route("/runs/{run}/past/", get(past))
        .route("/runs/{run}/past/{*path}", get(past))
        .fallback(nothing)
        .layer(from_fn_with_state(web.clone(), guard))
        .with_state(web)
}

async fn asset(uri: Uri) -> Answer {
    assets::answer(uri.path())
}

async fn nothing() -> Refused {
    Refused::not_found("There is no such page.")
}

/// Whether it is a call of gRPC; those that there are do not come here.
fn is_call(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The host that a request means.
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(http::uri::Authority::as_str);
    authority.or(named).unwrap_or_default().to_owned()
}

/// Lets in who may come in, and gives every answer what it must carry.
async fn guard(State(web): Here, request: Request, next: Next) -> Response {
    if is_call(&request) {
        return tonic::Status::unimplemented("").into_http();
    }
    let mut answer = match admitted(&web, request) {
        Ok(request) => next.run(request).await,
        Err(answer) => *answer,
    };
    protect(answer.headers_mut());
    answer
}

fn admitted(web: &Web, mut request: Request) -> Result<Request, Box<Response>> {
    let refuse = |status, why: &str| Box::new(Refused::new(status, why).into_response());
    let host = host(request.uri(), request.headers());
    let door = &web.0.door;
    if !door.is_meant(&host) {
        let why = "This coordinator is not called that: use its address, or the name of its public URL.";
        return Err(refuse(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let tokens = web.0.server.tokens();
    let viewer = door.viewer(request.headers(), tokens, Timestamp::now());
    let path = request.uri().path();
    let open = path == "/login" || path.starts_with("/assets/");
    // Through a WebSocket a page can do what its other side lets it do, and browsers open them for any page.
    let reads = only_reads(request.method()) && !socket::is_wanted(&request);
    let own = reads || viewer == Some(Viewer::Program) || door.is_own_origin(request.headers(), &host);
    if !own {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "This comes from a page of somebody else.",
        ));
    }
    match viewer {
        Some(viewer) => {
            request.extensions_mut().insert(viewer);
            Ok(request)
        }
        None if open => Ok(request),
        None if reads => {
            let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
            Err(Box::new(see_other(&format!("/login?next={next}"))))
        }
        None => Err(refuse(StatusCode::UNAUTHORIZED, "Log in first.")),
    }
}

/// The query of a request.
fn query(uri: &Uri) -> Query {
    Query::read(uri.query().unwrap_or_default().as_bytes())
}

async fn form(request: Request) -> Result<Query, Refused> {
    let body = axum::body::to_bytes(request.into_body(), FORM_MAX).await;
    let body = body.map_err(|_| Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large."))?;
    Ok(Query::read(&body))
}

/// A form of a viewer, which carries the key that it was given.
async fn own_form(web: &Web, request: Request) -> Result<Query, Refused> {
    let viewer = request.extensions().get::<Viewer>().cloned();
    let form = form(request).await?;
    let tokens = web.0.server.tokens();
    if viewer.is_some_and(|viewer| viewer.gave(form.get("key"), tokens)) {
        return Ok(form);
    }
    Err(Refused::new(
        StatusCode::FORBIDDEN,
        "This form is too old: load the page again.",
    ))
}

fn let_in(web: &Web, next: &str) -> Response {
    let mut answer = see_other(own_path(next));
    let cookie = web.0.door.let_in(web.0.server.tokens(), Timestamp::now());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// The form for the token; or, with the key of the address that a command printed, straight in.
async fn entrance(State(web): Here, uri: Uri) -> Response {
    let query = query(&uri);
    let (shown, next) = (query.get("key"), query.get("next"));
    if !shown.is_empty() && same(shown, &key(web.0.server.tokens())) {
        return let_in(&web, next);
    }
    page(frame::login(own_path(next), !shown.is_empty()))
}

async fn login(State(web): Here, request: Request) -> Answer {
    let form = form(request).await?;
    if same(form.get("token"), web.0.server.tokens().people()) {
        return Ok(let_in(&web, form.get("next")));
    }
    tracing::warn!("a wrong token was shown to the page");
    tokio::time::sleep(WRONG_WAIT).await;
    let mut answer = page(frame::login(own_path(form.get("next")), true));
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(answer)
}

async fn logout(State(web): Here, request: Request) -> Answer {
    own_form(&web, request).await?;
    let mut answer = see_other("/login");
    if let Ok(cookie) = HeaderValue::from_str(&web.0.door.forget()) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}

async fn of_list(State(web): Here, uri: Uri) -> Answer {
    let query = query(&uri);
    let wanted = index::Wanted {
        text: query.get("q").to_owned(),
        class: query.get("outcome").to_owned(),
        page: query.index("page").unwrap_or(0),
    };
    let now = Timestamp::now().as_millisecond();
    let (rows, broken) = web.0.index.rows(web.0.server.store(), now).await?;
    Ok(page(list::page(&index::page(rows, broken, &wanted), &wanted)))
}

fn run_id(text: &str) -> Result<RunId, Refused> {
    text.parse()
        .map_err(|_| Refused::not_found("There is no such run."))
}

/// The owner of a run, if it is in this process.
async fn entry(web: &Web, run: &RunId) -> Option<Arc<Entry>> {
    web.0.server.run(run).await.ok()
}

/// An object of the store as JSON; what cannot be read is not shown.
async fn object<T: serde::de::DeserializeOwned>(web: &Web, key: &str) -> Option<T> {
    let found = web.0.server.store().get_capped(key, OBJECT_MAX).await;
    serde_json::from_slice(&found.ok()??.bytes).ok()
}

/// What is committed, if it is this run's.
async fn committed(web: &Web, run: &RunId) -> Option<Commit> {
    let commit: Option<Commit> = object(web, &layout::commit(run)).await;
    commit.filter(|commit| commit.run == *run)
}

/// The record and, from its owner or the store, how a run is.
async fn seen(web: &Web, run: &RunId) -> Result<(RunRecord, Shown, Option<serde_json::Value>), Refused> {
    let store = web.0.server.store();
    let record = runs::record(store, run).await?;
    let now = Timestamp::now().as_millisecond();
    if let Some(entry) = entry(web, run).await
        && !record.is_closed()
    {
        let shown = Shown::live(&entry.handle.view.borrow(), now);
        // Before its first word the record says more.
        if !shown.run.is_empty() {
            return Ok((record, shown, None));
        }
    }
    let receipt: Option<serde_json::Value> = object(web, &layout::receipt(run)).await;
    let known: Option<Receipt> = receipt
        .clone()
        .and_then(|receipt| serde_json::from_value(receipt).ok());
    let shown = Shown::stored(&record, known.as_ref(), now);
    Ok((record, shown, receipt))
}

/// The last lines of a run and the number of the next one.
async fn last_lines(
    web: &Web,
    id: &RunId,
    shown: &Shown,
    attempt: Attempt,
) -> Result<(Vec<logs::Line>, u64), Refused> {
    let most = LINES_FIRST as u64;
    if let Some(entry) = entry(web, id).await
        && shown.live
    {
        let output = &entry.handle.output;
        let end = *output.end().borrow();
        let (mut lines, mut next) = (Vec::new(), end.saturating_sub(most));
        while next < end
            && let Some(batch) = output.read(next)
        {
            next = batch.first_line + batch.lines.len() as u64;
            let line = |text: &String| logs::Line {
                node: batch.node_id.clone(),
                text: plain::line(text),
            };
            lines.extend(batch.lines.iter().map(line));
        }
        return Ok((lines, next));
    }
    Ok((
        logs::last(web.0.server.store(), id, attempt, LINES_FIRST).await?,
        0,
    ))
}

async fn of_run(State(web): Here, Path(id): Path<String>, request: Request) -> Answer {
    let id = run_id(&id)?;
    let (record, shown, receipt) = seen(&web, &id).await?;
    let attempt = Attempt::try_from(shown.attempt).unwrap_or(record.attempt);
    let (lines, next_line) = last_lines(&web, &id, &shown, attempt).await?;
    let mut samples = web.with_samples(&id, Samples::clone);
    // Those of a run that has just closed are here until the store has them.
    if !shown.live && samples.is_empty() {
        samples = object(&web, &layout::samples(&id)).await.unwrap_or_default();
    }
    let commit = committed(&web, &id).await;
    let tokens = web.0.server.tokens();
    let viewer = request.extensions().get::<Viewer>();
    let form_key = viewer.map(|viewer| viewer.form_key(tokens)).unwrap_or_default();
    let whole = Whole {
        history: shown.closed && has_events(&web, &id, attempt).await,
        shown: &shown,
        record: &record,
        receipt: receipt.as_ref(),
        commit: commit.as_ref(),
        samples: &samples,
        lines: &lines,
        next_line,
        form_key: &form_key,
    };
    Ok(page(run::page(&whole)))
}

async fn has_events(web: &Web, run: &RunId, attempt: Attempt) -> bool {
    let events = web
        .0
        .server
        .store()
        .list_all(&layout::events(run, attempt), 1)
        .await;
    events.is_ok_and(|events| !events.is_empty())
}

async fn live(State(web): Here, Path(id): Path<String>, uri: Uri, headers: HeaderMap) -> Answer {
    let id = run_id(&id)?;
    let entry = entry(&web, &id).await;
    let entry = entry.ok_or_else(|| Refused::not_found("The run is not driven by this coordinator."))?;
    let place = Arc::clone(&web.0.readers).try_acquire_owned();
    let many = || {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages follow runs at one time.",
        )
    };
    let place = place.map_err(|_| many())?;
    // A browser that was cut off says what it had.
    let had = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let from = had.unwrap_or_else(|| query(&uri).get("from").parse().unwrap_or(0));
    Ok(events::of_run(web.clone(), id, entry.handle.clone(), from, place))
}

async fn of_log(State(web): Here, Path(id): Path<String>, uri: Uri) -> Answer {
    let id = run_id(&id)?;
    let query = query(&uri);
    let store = web.0.server.store();
    let asked = query.get("attempt").parse::<u32>().ok();
    let attempt = match asked.and_then(|number| Attempt::try_from(number).ok()) {
        Some(attempt) => attempt,
        None => runs::record(store, &id).await?.attempt,
    };
    let wanted = logs::Wanted {
        stream: logs::stream(query.get("stream")),
        node: query.get("node").to_owned(),
        attempt,
        text: query.get("q").to_owned(),
        place: logs::place(query.get("from"), query.get("until")),
    };
    Ok(page(logs::page(store, &id, &wanted).await?))
}

async fn must_commit(web: &Web, id: &RunId) -> Result<Commit, Refused> {
    let commit = committed(web, id).await;
    commit.ok_or_else(|| Refused::not_found("The run has committed no results."))
}

async fn of_results(State(web): Here, Path(id): Path<String>, uri: Uri) -> Answer {
    let id = run_id(&id)?;
    let commit = must_commit(&web, &id).await?;
    Ok(page(results::page(
        &id,
        &commit,
        query(&uri).index("page").unwrap_or(0),
    )))
}

async fn of_result(State(web): Here, Path(id): Path<String>, uri: Uri) -> Answer {
    let id = run_id(&id)?;
    let commit = must_commit(&web, &id).await?;
    let query = query(&uri);
    let file = results::file(&commit, query.get("path"))?;
    Ok(page(
        results::view(web.0.server.store(), &id, &commit, file).await?,
    ))
}

async fn raw(State(web): Here, Path(id): Path<String>, uri: Uri) -> Answer {
    let id = run_id(&id)?;
    let commit = must_commit(&web, &id).await?;
    let query = query(&uri);
    let file = results::file(&commit, query.get("path"))?;
    results::raw(web.0.server.store(), &id, &commit, file).await
}

fn not_done(error: &ServerError) -> Refused {
    let status = match error {
        ServerError::NoSuchRun(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    Refused::new(status, mayfly_kit::error::chain(error))
}

async fn cancel(State(web): Here, Path(id): Path<String>, request: Request) -> Answer {
    let id = run_id(&id)?;
    let form = own_form(&web, request).await?;
    let level = if form.get("level") == "fast" {
        Cancel::Fast
    } else {
        Cancel::Graceful
    };
    web.0
        .server
        .cancel(&id, level)
        .await
        .map_err(|error| not_done(&error))?;
    tracing::info!(run = %id, ?level, "cancelled on the page");
    Ok(see_other(&format!("/runs/{id}")))
}

async fn extend(State(web): Here, Path(id): Path<String>, request: Request) -> Answer {
    let id = run_id(&id)?;
    let form = own_form(&web, request).await?;
    let minutes: u64 = form.get("minutes").parse().unwrap_or(0);
    let entry = web.0.server.run(&id).await.map_err(|error| not_done(&error))?;
    let deadline_ms = entry.handle.view.borrow().deadline_ms;
    let left = deadline_ms.saturating_sub(Timestamp::now().as_millisecond());
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    let from_now = left.saturating_add(Duration::from_secs(minutes.saturating_mul(60)));
    web.0
        .server
        .extend(&id, from_now)
        .await
        .map_err(|error| not_done(&error))?;
    Ok(see_other(&format!("/runs/{id}")))
}

fn seat(web: &Web, uri: &Uri, headers: &HeaderMap, run: &RunId, below: &str) -> Seat {
    Seat {
        origin: format!("{}://{}", web.0.door.scheme(), host(uri, headers)),
        prefix: format!("/runs/{run}/{below}"),
    }
}

async fn spark(State(web): Here, Path(parts): Path<Vec<(String, String)>>, request: Request) -> Answer {
    let id = run_id(parts.first().map_or("", |(_, run)| run))?;
    let (uri, headers) = (request.uri(), request.headers());
    let seat = seat(&web, uri, headers, &id, "spark");
    if uri.path() == seat.prefix {
        return Ok(see_other(&format!("{}/", seat.prefix)));
    }
    let gone = || {
        Refused::not_found(
            "The engine does not run now. Afterwards its history can be looked at on the page of the run.",
        )
    };
    let entry = entry(&web, &id).await.ok_or_else(gone)?;
    let ui = master_of(&entry.handle.view.borrow()).map(|master| master.engine_ui.clone());
    let ui = ui.ok_or_else(gone)?;
    let asked = engine::request(&seat, uri.path(), uri.query(), headers);
    if socket::is_wanted(&request) {
        return socket::carried(&web, &entry.carriers, &seat, &ui, asked, request).await;
    }
    engine::carried(&entry.carriers, &seat, &ui, &asked).await
}

async fn open_history(State(web): Here, Path(id): Path<String>, request: Request) -> Answer {
    let id = run_id(&id)?;
    own_form(&web, request).await?;
    let record = runs::record(web.0.server.store(), &id).await?;
    let base = format!("/runs/{id}/past");
    let wanted = Wanted {
        store: web.0.server.store(),
        run: &id,
        attempt: record.attempt,
        spark: &record.job.spark.version,
        base: &base,
    };
    let path = web.0.histories.open(&wanted).await?;
    Ok(see_other(&format!("{base}{path}")))
}

async fn past(
    State(web): Here,
    Path(parts): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let id = run_id(parts.first().map_or("", |(_, run)| run))?;
    let seat = seat(&web, &uri, &headers, &id, "past");
    let asked = engine::request(&seat, uri.path(), uri.query(), &headers);
    web.0.histories.ask(&id, &seat, &asked).await
}
