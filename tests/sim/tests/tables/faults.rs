//! Faults that are to be survived.

use super::{all_are_covered, all_are_there, rows, text};

const PAGE: &str = "docs/faults.md";
/// Rows of the list of faults.
const ROWS: [u32; 71] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 30, 31, 32,
    33, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 59, 60, 61, 62,
    64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 76, 77, 78, 79, 80, 82,
];
const MORE_ROWS: [u32; 2] = [83, 84];

#[test]
fn every_fault_has_a_row_and_every_row_a_test_or_a_reason() {
    let known: Vec<u32> = rows(&text(PAGE)).iter().map(|row| row.number).collect();
    let all: Vec<u32> = ROWS.into_iter().chain(MORE_ROWS).collect();
    assert_eq!(known, all, "rows of {PAGE}");
    all_are_covered(PAGE);
}

#[test]
fn what_the_table_of_faults_names_is_there() {
    all_are_there(PAGE);
}
