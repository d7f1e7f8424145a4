//! Tables: one look for all verbs.

use super::paint::Paint;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Between two columns.
const GAP: &str = "  ";

/// A head and rows below it, two columns from the edge; each column is as wide as its widest cell, colours not counted.
#[must_use]
pub(crate) fn render(
    head: &[&str],
    rows: &[Vec<String>],
    sides: impl IntoIterator<Item = Side>,
    paint: Paint,
) -> Vec<String> {
    let title: Vec<String> = head.iter().map(|cell| paint.dim(cell)).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = std::iter::once(&title)
                .chain(rows)
                .filter_map(|row| row.get(column));
            cells
                .map(|cell| console::measure_text_width(cell))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let sides: Vec<Side> = sides.into_iter().take(head.len()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(&sides).map(|((cell, width), side)| {
            let gap = " ".repeat(width.saturating_sub(console::measure_text_width(cell)));
            match side {
                Side::Left => format!("{cell}{gap}"),
                Side::Right => format!("{gap}{cell}"),
            }
        });
        format!("{GAP}{}", cells.collect::<Vec<_>>().join(GAP))
            .trim_end()
            .to_owned()
    };
    std::iter::once(&title).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colours() {
        let red = Paint { on: true }.bad("x");
        let rows = vec![
            vec![red.clone(), "1".to_owned()],
            vec!["ünder".to_owned(), "22".to_owned()],
        ];
        let lines = render(
            &["run", "n"],
            &rows,
            [Side::Left, Side::Right],
            Paint { on: false },
        );
        assert_eq!(
            lines,
            [
                "  run     n".to_owned(),
                format!("  {red}       1"),
                "  ünder  22".to_owned()
            ]
        );
    }
}
