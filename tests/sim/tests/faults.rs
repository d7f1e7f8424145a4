//! `docs/faults.md` names a test for each fault, or says why there is none; and what it names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Rows of the list of faults.
const ROWS: [u32; 71] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 30, 31, 32,
    33, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 59, 60, 61, 62,
    64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 76, 77, 78, 79, 80, 82,
];
const MORE_ROWS: [u32; 2] = [83, 84];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            found.push((name, text(&path.display().to_string())));
        }
    }
}

/// The rows of the tables: number, and what stands in the last column.
fn rows(page: &str) -> Vec<(u32, String)> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| {
        line.trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect::<Vec<_>>()
    });
    cells
        .filter_map(|cells| Some((cells.first()?.parse().ok()?, (*cells.last()?).to_owned())))
        .collect()
}

#[test]
fn every_fault_has_a_row_and_every_row_a_test_or_a_reason() {
    let page = text("docs/faults.md");
    let rows = rows(&page);
    let known: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    let all: Vec<u32> = ROWS.into_iter().chain(MORE_ROWS).collect();
    assert_eq!(known, all, "rows of docs/faults.md");
    for (number, tests) in &rows {
        assert!(
            tests.contains('`') || tests.contains("Not tested: ") || tests.starts_with("as row "),
            "row {number} names neither a test nor a reason: {tests}"
        );
    }
}

#[test]
fn what_the_table_of_faults_names_is_there() {
    let (page, points, plan) = (
        text("docs/faults.md"),
        text("kit/src/crash.rs"),
        text("tests/sim/src/plan.rs"),
    );
    let mut files = Vec::new();
    for folder in ["agent", "coordinator", "proto", "s3", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    for (number, tests) in rows(&page) {
        for name in tests.split('`').skip(1).step_by(2) {
            let there = if let Some(fault) = name.strip_prefix("sim:") {
                plan.contains(&format!("=> \"{fault}\""))
            } else if let Some(point) = name.strip_prefix("chaos:").filter(|rest| !rest.starts_with(':')) {
                points.contains(&format!("= \"{point}\""))
            } else if let Some((place, function)) = name.rsplit_once("::") {
                let file = place.rsplit('/').next().unwrap_or(place);
                let fits = |path: &str| {
                    path.ends_with(&format!("/{file}.rs")) || path.contains(&format!("/{file}/"))
                };
                let declares = |source: &str| source.contains(&format!("fn {function}("));
                files.iter().any(|(path, source)| fits(path) && declares(source))
            } else {
                panic!("row {number}: {name:?} names no test")
            };
            assert!(there, "row {number}: {name} is not there");
        }
    }
}
