//! The results of a run: what there is, previews, and the files themselves. A file of a job is never a page of ours.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use maud::{Markup, html};
use mayfly_kit::layout;
use mayfly_kit::records::{Commit, FileEntry};
use mayfly_kit::store::Store;
use mayfly_proto::RunId;
use url::form_urlencoded::Serializer;

use super::answer::{Answer, Refused, of_others};
use super::{csv, frame, parquet};
use crate::cli::plain;
use crate::cli::preview::FILE_MAX;
use crate::cli::view::units;

/// Files on a page.
pub(super) const PAGE: usize = 200;
/// Bytes of a file that a preview shows.
const HEAD: usize = 64 * 1024;
/// Largest image that is shown, in bytes.
pub(super) const IMAGE_MAX: u64 = 10 << 20;
/// Rows of a table that a preview shows.
const ROWS: usize = 50;
/// What the files may do that are shown as they are: nothing.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";

/// What a browser may show as it is, by the end of the name. No page and no script among them.
const IMAGES: [(&str, &str); 6] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
];

fn ending(path: &str) -> String {
    path.rsplit_once('.')
        .map_or_else(String::new, |(_, end)| end.to_ascii_lowercase())
}

fn image(path: &str) -> Option<&'static str> {
    let end = ending(path);
    IMAGES
        .iter()
        .find(|(known, _)| *known == end)
        .map(|(_, kind)| *kind)
}

/// Whether a file is shown as an image.
pub(super) fn is_image(path: &str) -> bool {
    image(path).is_some()
}

fn to(run: &str, what: &str, path: &str) -> String {
    let query = Serializer::new(String::new()).append_pair("path", path).finish();
    format!("/runs/{run}/{what}?{query}")
}

/// Where the preview of a file is.
pub(super) fn view_path(run: &str, path: &str) -> String {
    to(run, "result", path)
}

/// Where the file itself is.
pub(super) fn raw_path(run: &str, path: &str) -> String {
    to(run, "raw", path)
}

/// The files as a table.
pub(super) fn table<'a>(run: &str, files: impl Iterator<Item = &'a FileEntry>) -> Markup {
    html! {
        div.scroll { table.files {
            tbody { @for file in files {
                tr {
                    td { a href=(view_path(run, &file.path)) { (plain::line(&file.path)) } }
                    td.num { (units::bytes(file.size)) }
                    td.num { a href=(raw_path(run, &file.path)) download { "Download" } }
                }
            } }
        } }
    }
}

/// All files, page by page.
pub(super) fn page(run: &RunId, commit: &Commit, number: usize) -> Markup {
    let pages = commit.files.len().div_ceil(PAGE).max(1);
    let number = number.min(pages - 1);
    let body = html! {
        p.crumb { a href={ "/runs/" (run) } { "← " (run) } }
        div.head { h1 { "Results" } span.count { (units::count(commit.total_files, "file")) ", " (units::bytes(commit.total_bytes)) } }
        section.card { (table(run.as_str(), commit.files.iter().skip(number * PAGE).take(PAGE))) }
        @if pages > 1 { nav.pager {
            @if number > 0 { a.button rel="prev" href={ "/runs/" (run) "/results?page=" (number) } { "← Before" } }
            span { "Page " (number + 1) " of " (pages) }
            @if number + 1 < pages { a.button rel="next" href={ "/runs/" (run) "/results?page=" (number + 2) } { "After →" } }
        } }
    };
    frame::page(&format!("Results · {run}"), &body)
}

/// The committed file of this path.
///
/// # Errors
/// There is none.
pub(super) fn file<'a>(commit: &'a Commit, path: &str) -> Result<&'a FileEntry, Refused> {
    let found = commit
        .files
        .iter()
        .find(|file| file.path == path && file.is_sound());
    found.ok_or_else(|| Refused::not_found("There is no such file among the results."))
}

fn gone() -> Refused {
    Refused::not_found("The file is not in the store any more.")
}

fn key(run: &RunId, commit: &Commit, file: &FileEntry) -> String {
    format!("{}{}", layout::results(run, commit.attempt), file.path)
}

/// A look into a file.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn view(
    store: &Store,
    run: &RunId,
    commit: &Commit,
    file: &FileEntry,
) -> Result<Markup, Refused> {
    let shown = if is_image(&file.path) && file.size <= IMAGE_MAX {
        html! { img.shown src=(raw_path(run.as_str(), &file.path)) alt=(file.path); }
    } else if ending(&file.path) == "parquet" && file.size <= FILE_MAX {
        let object = store.get_capped(&key(run, commit, file), FILE_MAX).await?;
        let object = object.ok_or_else(gone)?;
        match parquet::head(&object.bytes).await {
            Some(head) => parquet::table(&head),
            None => {
                html! { p.note { "No preview: this is no Parquet file that can be read here; uncompressed ones and those with Snappy, gzip or Zstandard can." } }
            }
        }
    } else {
        let head = store.head(&key(run, commit, file), HEAD).await?;
        let (bytes, size) = head.ok_or_else(gone)?;
        look(&file.path, &bytes, size)
    };
    let body = html! {
        p.crumb { a href={ "/runs/" (run) } { "← " (run) } " / " a href={ "/runs/" (run) "/results" } { "results" } }
        div.head { h1.path { (plain::line(&file.path)) } span.count { (units::bytes(file.size)) } a.button href=(raw_path(run.as_str(), &file.path)) download { "Download" } }
        section.card { (shown) }
        p.note { "SHA-256 " code.hash { (file.sha256) } }
    };
    Ok(frame::page(
        &format!("{} · {run}", plain::line(&file.path)),
        &body,
    ))
}

/// The beginning of a file as a table or as text.
fn look(path: &str, bytes: &[u8], size: u64) -> Markup {
    let whole = bytes.len() as u64 >= size;
    let Some(text) = text(bytes, whole) else {
        return html! { p.note { "This is no text: no preview." @if ending(path) == "parquet" { " A Parquet file of more than " (units::bytes(FILE_MAX)) " can be read with pandas, pyarrow or Spark after " code { "coordinator results" } "." } } };
    };
    let separator = match ending(path).as_str() {
        "csv" => Some(','),
        "tsv" => Some('\t'),
        _ => None,
    };
    let more = html! { @if !whole { p.note { "The first " (units::bytes(bytes.len() as u64)) " of " (units::bytes(size)) "." } } };
    let Some(separator) = separator else {
        return html! { pre.lines tabindex="0" { (plain::lines(text)) } (more) };
    };
    let rows = csv::rows(text, separator, ROWS + 1, whole);
    let mut rows = rows.iter();
    html! {
        div.scroll { table.data {
            @if let Some(head) = rows.next() { thead { tr { @for cell in head { th { (plain::line(cell)) } } } } }
            tbody { @for row in rows { tr { @for cell in row { td { (plain::line(cell)) } } } } }
        } }
        p.note { "The first rows, at most " (ROWS) "." }
    }
}

/// Bytes as text, if they are text; a character that is cut at the end is left out.
fn text(bytes: &[u8], whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// The file itself: an image to be looked at, anything else to be kept.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn raw(store: &Store, run: &RunId, commit: &Commit, file: &FileEntry) -> Answer {
    let pieces = store.pieces(&key(run, commit, file)).await?;
    let (pieces, size) = pieces.ok_or_else(gone)?;
    let mut answer = Response::new(Body::from_stream(pieces));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    let kind = image(&file.path);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(kind.unwrap_or("application/octet-stream")),
    );
    of_others(headers, SANDBOX);
    if kind.is_none() {
        headers.insert(CONTENT_DISPOSITION, disposition(&file.path));
    }
    Ok(answer)
}

/// To be kept under the last part of its path.
fn disposition(path: &str) -> HeaderValue {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-+ ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let value = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\""));
    value.unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_are_shown_as_they_are() {
        assert_eq!(image("a/b.PNG"), Some("image/png"));
        for other in ["x.html", "x.svgz", "x.js", "png", "x.png.html", "x.pdf"] {
            assert_eq!(image(other), None, "{other}");
        }
        assert_eq!(
            disposition("a/b\"\r\nX: y.html"),
            "attachment; filename=\"b___X_ y.html\""
        );
        assert_eq!(view_path("r", "a b&c"), "/runs/r/result?path=a+b%26c");
    }

    #[test]
    fn text_that_is_cut_within_a_character_is_text() {
        let bytes = "grün".as_bytes();
        assert_eq!(text(&bytes[..3], false), Some("gr"));
        assert_eq!(text(&bytes[..3], true), None);
        assert_eq!(text(b"a\0b", true), None);
        assert_eq!(text(&[0x89, 0x50, 0xff], false), None);
    }

    #[test]
    fn previews_are_text_and_nothing_else() {
        let evil = b"a,b\n<script>alert(1)</script>,\"x, y\"\n";
        let table = look("x.csv", evil, evil.len() as u64).into_string();
        assert!(
            table.contains("<td>x, y</td>") && !table.contains("<script>"),
            "{table}"
        );
        let text = look("x.html", evil, 1 << 30).into_string();
        assert!(!text.contains("<script>") && text.contains("The first"), "{text}");
        assert!(look("x.parquet", &[0, 1], 2).into_string().contains("no preview"));
    }
}
