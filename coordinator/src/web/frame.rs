//! What is around every page.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets;

/// A page with its title.
pub(super) fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Mayfly" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON);
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { (mark()) span { "Mayfly" } }
                    nav aria-label="main" { a href="/" { "Runs" } }
                }
                main #main { (body) }
            }
        }
    }
}

/// Two pairs of wings and a tail.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
            path d="M12 9C9 3 4 2 2 4c-1 3 4 6 10 6zM12 9c3-6 8-7 10-5 1 3-4 6-10 6z" {}
            path.thin d="M12 12c-3 0-6 2-6 4 2 1 5-1 6-4zM12 12c3 0 6 2 6 4-2 1-5-1-6-4z" {}
            path.tail d="M12 8v7M12 15l-3 8M12 15l3 8" {}
        }
    }
}

/// Why there is no page.
pub(super) fn refusal(status: StatusCode, why: &str) -> Markup {
    let title = status.canonical_reason().unwrap_or("Not shown");
    let body = html! {
        section.card.narrow {
            h1 { (title) }
            p.plain { (why) }
            p { a.button href="/" { "All runs" } }
        }
    };
    page(title, &body)
}

/// Where a browser shows the token.
pub(super) fn login(next: &str, wrong: bool) -> Markup {
    let body = html! {
        section.card.narrow {
            h1 { "Log in" }
            p { "This coordinator shows its runs to who has its token: the file " code { "people.token" } " in its folder." }
            @if wrong { p.alert role="alert" { "That is not the token of this coordinator." } }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
                button.button.main type="submit" { "Log in" }
            }
        }
    };
    page("Log in", &body)
}
