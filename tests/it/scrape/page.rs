//! A page of metrics, and the table in docs/team.md that explains them.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../docs/team.md");

/// What a family is: its type and the names of its labels.
type Shape = (String, BTreeSet<String>);

/// Several pages together.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn add(&mut self, page: &str) {
        self.0.push_str(page);
    }

    /// Every family that has a series.
    pub(super) fn families(&self) -> BTreeMap<String, Shape> {
        let mut types = BTreeMap::new();
        for line in self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            types.insert(name, kind);
        }
        let mut families: BTreeMap<String, Shape> = BTreeMap::new();
        for line in self.0.lines().filter(|line| !line.starts_with('#')) {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|part| name.strip_suffix(part))
                .find(|base| types.get(base) == Some(&"histogram"))
                .unwrap_or(name);
            let kind = types.get(name).unwrap_or_else(|| panic!("{name} has no type"));
            let family = families.entry(name.to_owned()).or_default();
            family.0 = (*kind).to_owned();
            family.1.extend(labels_of(labels));
        }
        families
    }
}

fn labels_of(text: &str) -> impl Iterator<Item = String> {
    let names = text.split("\",").filter_map(|label| label.split_once("=\""));
    names
        .map(|(name, _)| name.trim_start_matches(',').to_owned())
        .filter(|name| name != "le")
}

/// The rows `| name | type | labels | meaning |` of that page.
pub(super) fn documented() -> BTreeMap<String, Shape> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `mayfly_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else {
            panic!("a row of four cells, not {line}")
        };
        assert!(meaning.len() > 10, "{line}");
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        (
            name.trim_matches('`').to_owned(),
            (
                kind.to_owned(),
                labels.filter(|label| !label.is_empty()).collect(),
            ),
        )
    };
    rows.map(row).collect()
}
