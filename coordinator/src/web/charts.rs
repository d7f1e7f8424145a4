//! Charts as SVG. Lengths along an axis are shares of the whole, so that a chart is as wide as its place.

use maud::{Markup, html};

/// A part of a line of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    /// A word that the style sheet knows.
    pub(super) kind: &'static str,
    /// For who points at it.
    pub(super) title: String,
    /// What is written on it where there is room.
    pub(super) label: String,
    /// From the beginning of the chart, in seconds.
    pub(super) from: f64,
    /// See `from`.
    pub(super) to: f64,
}

/// Share of the chart from which on a label fits.
const LABEL_MIN: f64 = 0.08;
/// Marks on the axis at most.
const TICKS_MAX: usize = 6;

/// A number as SVG takes it.
fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 {
        (part / whole).clamp(0.0, 1.0)
    } else {
        0.0
    };
    format!("{}%", n(share * 100.0))
}

/// A line of time with its axis; `label` writes a time.
pub(super) fn timeline(bars: &[Bar], label: impl Fn(f64) -> String) -> Markup {
    let whole = bars.iter().map(|bar| bar.to).fold(0.0, f64::max);
    let step = step(whole);
    html! {
        svg.timeline width="100%" height="58" role="img" aria-label="time of each phase" {
            @for bar in bars {
                @let width = (bar.to - bar.from).max(0.0);
                g class={ "bar " (bar.kind) } {
                    title { (bar.title) }
                    rect x=(percent(bar.from, whole)) y="0" width=(percent(width, whole)) height="34" {}
                    @if whole > 0.0 && width / whole >= LABEL_MIN {
                        svg x=(percent(bar.from, whole)) y="0" width=(percent(width, whole)) height="34" {
                            text x="8" y="21" { (bar.label) }
                        }
                    }
                }
            }
            @for tick in 0..TICKS_MAX {
                @let at = f64::from(u32::try_from(tick).unwrap_or(0)) * step;
                @if at <= whole * 0.97 && whole > 0.0 {
                    line.tick x1=(percent(at, whole)) x2=(percent(at, whole)) y1="36" y2="41" {}
                    text.tick x=(percent(at, whole)) y="54" text-anchor=(if tick == 0 { "start" } else { "middle" }) { (label(at)) }
                }
            }
        }
    }
}

/// A round number of seconds, of which not more than [`TICKS_MAX`] make the whole.
fn step(whole: f64) -> f64 {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0, 43_200.0, 86_400.0,
    ];
    let most = f64::from(u32::try_from(TICKS_MAX).unwrap_or(1));
    let fits = |step: &f64| whole / step < most;
    STEPS.into_iter().find(fits).unwrap_or(whole / most + 1.0)
}

/// A line of values over time, each with its second; `top` is the height of the chart.
pub(super) fn spark(points: &[(f64, f64)], top: f64, kind: &str, title: &str) -> Markup {
    const WIDTH: f64 = 100.0;
    const HEIGHT: f64 = 28.0;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! { svg class={ "spark " (kind) } viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true" {} };
    };
    let (begin, span) = (first.0, (last.0 - first.0).max(0.001));
    let top = if top > 0.0 { top } else { 1.0 };
    let place = |&(at, value): &(f64, f64)| {
        let x = (at - begin) / span * WIDTH;
        let y = HEIGHT - 1.0 - (value / top).clamp(0.0, 1.0) * (HEIGHT - 2.0);
        format!("{},{}", n(x), n(y))
    };
    let line: Vec<String> = points.iter().map(place).collect();
    let line = line.join(" ");
    html! {
        svg class={ "spark " (kind) } viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label=(title) {
            title { (title) }
            polygon points={ "0,28 " (line) " 100,28" } {}
            polyline points=(line) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// How much of a whole there is.
pub(super) fn meter(part: f64, whole: f64, kind: &str, title: &str) -> Markup {
    html! {
        svg class={ "meter " (kind) } width="100%" height="10" role="img" aria-label=(title) {
            title { (title) }
            rect.whole width="100%" height="10" rx="5" {}
            rect.part width=(percent(part, whole)) height="10" rx="5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_to_scale_and_escapes_its_words() {
        let bar = |kind, from, to| Bar {
            kind,
            title: "<b>".into(),
            label: "x".into(),
            from,
            to,
        };
        let drawn = timeline(&[bar("forming", 0.0, 5.0), bar("working", 5.0, 20.0)], n).into_string();
        assert!(drawn.contains(r#"x="25%" y="0" width="75%""#), "{drawn}");
        assert!(drawn.contains("&lt;b&gt;") && !drawn.contains("<b>"), "{drawn}");
        assert_eq!(drawn.matches("text class=\"tick\"").count(), 4, "{drawn}");
        timeline(&[], n);
    }

    #[test]
    fn a_line_stays_in_its_place() {
        let drawn = spark(&[(10.0, 0.0), (20.0, 9.0), (30.0, 1.0)], 2.0, "cpu", "CPU").into_string();
        assert!(drawn.contains(r#"points="0,27 50,1 100,14""#), "{drawn}");
        for odd in [&[][..], &[(1.0, 1.0)], &[(1.0, f64::NAN), (1.0, f64::INFINITY)]] {
            assert!(!spark(odd, 0.0, "cpu", "").into_string().contains("inf"));
        }
        assert_eq!(percent(3.0, 0.0), "0%");
        assert_eq!(percent(9.0, 3.0), "100%");
    }

    #[test]
    fn an_axis_has_few_marks_at_every_scale() {
        for whole in [0.5, 7.0, 59.0, 3_000.0, 90_000.0, 900_000.0] {
            let marks = whole / step(whole);
            assert!(marks < 6.0, "{whole}: {marks}");
        }
    }
}
