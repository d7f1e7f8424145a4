//! The first rows of a table in text, for a look. RFC 4180, and lenient: whatever it reads is shown as text.

/// Cells of a row that are shown.
const CELLS_MAX: usize = 60;

/// At most so many rows; the last one is left out where the text was cut within it.
pub(super) fn rows(text: &str, separator: char, most: usize, whole: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                cell.push('"');
                rest.next();
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\r' if !quoted && rest.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                if rows.len() >= most {
                    break;
                }
            }
            c if c == separator && !quoted => row.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    if whole && rows.len() < most && !(cell.is_empty() && row.is_empty()) {
        row.push(cell);
        rows.push(row);
    }
    rows.iter_mut().for_each(|row| row.truncate(CELLS_MAX));
    rows
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn quotes_hold_separators_and_ends_of_lines() {
        let read = rows("a,b\r\n\"x, \"\"y\"\"\nz\",2\nlast,3", ',', 9, true);
        assert_eq!(
            read,
            [vec!["a", "b"], vec!["x, \"y\"\nz", "2"], vec!["last", "3"]]
        );
        assert_eq!(rows("a,b\ncut,of", ',', 9, false), [vec!["a", "b"]]);
        assert_eq!(rows("a\tb\nc\td\n", '\t', 1, true), [vec!["a", "b"]]);
        assert!(rows("", ',', 9, true).is_empty());
        assert_eq!(rows(&",".repeat(500), ',', 9, true)[0].len(), 60);
    }
}
