//! Tables of the documentation that name a test for each thing that may go wrong, or say why there is none; and what they
//! name is there.

mod bad_inputs;
mod faults;

use std::fs;
use std::path::{Path, PathBuf};

/// A line of a table: its number, and what stands in the last column.
struct Row {
    number: u32,
    tests: String,
}

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

/// The rows of all tables of a page.
fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| {
        line.trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect::<Vec<_>>()
    });
    let row = |cells: Vec<&str>| {
        let number = cells.first()?.parse().ok()?;
        let tests = (*cells.last()?).to_owned();
        Some(Row { number, tests })
    };
    cells.filter_map(row).collect()
}

/// Every row of the page names a test, or says why there is none.
fn all_are_covered(page: &str) {
    for Row { number, tests } in rows(&text(page)) {
        assert!(
            tests.contains('`') || tests.contains("Not tested: ") || tests.starts_with("as row "),
            "{page}, row {number} names neither a test nor a reason: {tests}"
        );
    }
}

/// What the rows of the page name is there: functions, faults of the simulation, points of `make chaos`.
fn all_are_there(page: &str) {
    let (points, plan) = (text("kit/src/crash.rs"), text("tests/sim/src/plan.rs"));
    let mut files = Vec::new();
    for folder in [
        "agent",
        "aws",
        "configs",
        "coordinator",
        "kit",
        "proto",
        "s3",
        "tests",
    ] {
        sources(&root().join(folder), &mut files);
    }
    for Row { number, tests } in rows(&text(page)) {
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
                panic!("{page}, row {number}: {name:?} names no test")
            };
            assert!(there, "{page}, row {number}: {name} is not there");
        }
    }
}
