//! The list of runs.

use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::frame;
use super::index::{Page, Row, Wanted};
use super::shown::{FILTERS, State};
use crate::cli::plain;
use crate::cli::view::units;

/// The page.
pub(super) fn page(page: &Page, wanted: &Wanted) -> Markup {
    let body = html! {
        div.head { h1 { "Runs" } span.count { (page.found) @if page.found != page.all { " of " (page.all) } } }
        form.filter method="get" action="/" role="search" {
            input #search type="search" name="q" value=(wanted.text) placeholder="Job, run, owner or commit" aria-label="Search runs";
            input type="hidden" name="outcome" value=(wanted.class);
            button.button type="submit" { "Search" }
        }
        nav.tabs aria-label="outcome" {
            @for (word, label) in FILTERS {
                a href=(link(wanted, word, 0)) aria-current=[(word == wanted.class).then_some("page")] { (label) }
            }
        }
        @if page.rows.is_empty() { (nothing(page.all)) } @else { (table(page)) }
        (pager(page, wanted))
        @if !page.broken.is_empty() {
            details.card { summary { (units::count(page.broken.len() as u64, "record")) " cannot be read" }
                ul { @for line in &page.broken { li { (line) } } }
            }
        }
    };
    frame::page("Runs", &body)
}

fn nothing(all: usize) -> Markup {
    html! {
        section.card.empty {
            @if all == 0 {
                p { "No run yet." }
                p { code { "coordinator launch JOB" } " makes one." }
            } @else {
                p { "No run is like that." }
                p { a href="/" { "Show all" } }
            }
        }
    }
}

fn table(page: &Page) -> Markup {
    html! {
        div.scroll { table.runs {
            thead { tr { th { "Run" } th { "State" } th { "Started" } th.num { "Time" } th.num { "Cost" } th.wide { "Owner" } th.wide { "Commit" } } }
            tbody { @for row in &page.rows { (line(row)) } }
        } }
    }
}

fn line(row: &Row) -> Markup {
    let suffix = row.run.strip_prefix(&row.job).unwrap_or(&row.run);
    html! {
        tr {
            td { a.run href={ "/runs/" (row.run) } { b { (row.run.strip_suffix(suffix).unwrap_or_default()) } span.id { (suffix) } } }
            td { (pill(row.state)) }
            td { (time(row.created_ms)) }
            td.num { (units::secs(row.secs)) }
            td.num { @if row.cost_micros > 0 { (units::dollars(row.cost_micros)) } @else { span.none { "–" } } }
            td.wide { (plain::line(&row.owner)) }
            td.wide { code { (row.commit.chars().take(10).collect::<String>()) } }
        }
    }
}

/// A state in its colour.
pub(super) fn pill(state: State) -> Markup {
    html! { span class={ "pill " (state.tone) } { (state.word) } }
}

/// A moment; the script turns it into the reader's own zone.
pub(super) fn time(ms: i64) -> Markup {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (at.strftime("%Y-%m-%d %H:%M")) " UTC" } }
}

fn link(wanted: &Wanted, class: &str, page: usize) -> String {
    let mut query = Serializer::new(String::new());
    if !wanted.text.is_empty() {
        query.append_pair("q", &wanted.text);
    }
    if !class.is_empty() {
        query.append_pair("outcome", class);
    }
    if page > 0 {
        query.append_pair("page", &(page + 1).to_string());
    }
    let query = query.finish();
    if query.is_empty() {
        "/".to_owned()
    } else {
        format!("/?{query}")
    }
}

fn pager(page: &Page, wanted: &Wanted) -> Markup {
    html! {
        @if page.pages > 1 {
            nav.pager aria-label="pages" {
                @if page.page > 0 { a.button rel="prev" href=(link(wanted, &wanted.class, page.page - 1)) { "← Newer" } }
                span { "Page " (page.page + 1) " of " (page.pages) }
                @if page.page + 1 < page.pages { a.button rel="next" href=(link(wanted, &wanted.class, page.page + 1)) { "Older →" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PhaseName;

    #[test]
    fn what_others_chose_is_text_and_nothing_else() {
        let evil = r#""><script>alert(1)</script>"#;
        let row = Row {
            run: "a-abcdefgh".into(),
            job: "a".into(),
            owner: evil.into(),
            commit: evil.into(),
            state: State::of(None, PhaseName::Forming),
            class: "open",
            created_ms: 0,
            secs: 1.0,
            closed: false,
            cost_micros: 0,
        };
        let page = Page {
            rows: vec![row],
            found: 200,
            all: 200,
            page: 0,
            pages: 4,
            broken: vec![evil.into()],
        };
        let wanted = Wanted {
            text: evil.into(),
            ..Wanted::default()
        };
        let text = super::page(&page, &wanted).into_string();
        assert_eq!(text.matches("<script").count(), 1, "our own: {text}");
        assert!(text.contains("<b>a</b>") && text.contains("-abcdefgh"), "{text}");
    }
}
