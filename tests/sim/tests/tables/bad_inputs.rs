//! Input that is to be refused.

use super::{all_are_covered, all_are_there, rows, text};

const PAGE: &str = "docs/bad-inputs.md";
/// Rows of the list of bad inputs. A row of several inputs may have several lines in the table.
const ROWS: [u32; 89] = [
    1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 21, 22, 23, 24, 26, 28, 29, 30, 31, 32, 33, 34,
    35, 37, 38, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 53, 54, 56, 57, 58, 59, 61, 62, 63, 64, 66, 68,
    69, 70, 71, 72, 74, 75, 76, 77, 79, 80, 81, 82, 84, 85, 86, 88, 89, 90, 91, 92, 95, 96, 97, 98, 99, 100,
    102, 103, 104, 106, 107, 108, 109, 111, 112,
];

#[test]
fn every_bad_input_has_a_row_and_every_row_a_test_or_a_reason() {
    let mut known: Vec<u32> = rows(&text(PAGE)).iter().map(|row| row.number).collect();
    known.dedup();
    assert_eq!(known, ROWS, "rows of {PAGE}");
    all_are_covered(PAGE);
}

#[test]
fn what_the_table_of_bad_inputs_names_is_there() {
    all_are_there(PAGE);
}
