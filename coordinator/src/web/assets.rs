//! The style sheet, the script and the icon: a part of the program. Their addresses change with what they hold.

use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Refused, with_type};

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const MARK: &str = include_str!("assets/icon.svg");

/// Address of the icon.
pub(super) const ICON: &str = "/assets/icon.svg";

/// Address of the style sheet.
pub(super) fn style() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/{}.css", version(STYLE)));
    &PATH
}

/// Address of the script.
pub(super) fn script() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/{}.js", version(SCRIPT)));
    &PATH
}

fn version(text: &str) -> String {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(text));
    hash.chars().take(12).collect()
}

/// What is at an address.
pub(super) fn answer(path: &str) -> Answer {
    if path == style() {
        Ok(kept(with_type("text/css; charset=utf-8", STYLE)))
    } else if path == script() {
        Ok(kept(with_type("text/javascript; charset=utf-8", SCRIPT)))
    } else if path == ICON {
        Ok(with_type("image/svg+xml", MARK))
    } else {
        Err(Refused::not_found("There is no such file here."))
    }
}

/// It never changes at this address.
fn kept(mut answer: Response) -> Response {
    let year = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer.headers_mut().insert(CACHE_CONTROL, year);
    answer
}
