//! Prometheus' own text format (0.0.4) out of OpenMetrics: every scraper and `promtool check metrics` read it.
//!
//! The two differ in little: OpenMetrics names a counter's family without `_total`, has units as lines of their own, and
//! marks the end.

/// Content type of what [`classic`] makes.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same metrics as Prometheus' text.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut page = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let type_line = if line.starts_with("# HELP ") {
            lines.peek().copied()
        } else {
            Some(line)
        };
        if type_line.is_some_and(is_counter) {
            page.push_str(&with_total(line));
        } else {
            page.push_str(line);
        }
        page.push('\n');
    }
    page
}

fn is_counter(line: &str) -> bool {
    line.starts_with("# TYPE ") && line.ends_with(" counter")
}

/// `# TYPE syncs counter` as `# TYPE syncs_total counter`; the same for `# HELP`.
fn with_total(line: &str) -> String {
    let mut words = line.splitn(4, ' ');
    let mut next = || words.next().unwrap_or_default();
    format!("{} {} {}_total {}", next(), next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_their_samples() {
        let open = "# HELP syncs Reports sent.\n# TYPE syncs counter\nsyncs_total 1\n\
                    # HELP lease_seconds Left to live.\n# TYPE lease_seconds gauge\n# UNIT lease_seconds seconds\n\
                    lease_seconds 2.5\n# EOF\n";
        assert_eq!(
            classic(open),
            "# HELP syncs_total Reports sent.\n# TYPE syncs_total counter\nsyncs_total 1\n\
             # HELP lease_seconds Left to live.\n# TYPE lease_seconds gauge\nlease_seconds 2.5\n"
        );
    }
}
