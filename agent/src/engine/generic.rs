//! The agent runs what a definition says: outside the hooks, and what installs the software that they want, its code knows
//! no engine by name. Nor does the code of the coordinator that decides about runs.

use std::path::{Path, PathBuf};

/// Where an engine may be named, and why.
const NAMED: [(&str, &str); 6] = [
    ("agent/src/engine/spark", "the hook"),
    ("agent/src/engine/hook.rs", "the list of hooks"),
    ("agent/src/toolchain", "what a machine has for the hook"),
    (
        "agent/src/python/choice.rs",
        "the hook's packages for a Python of the job's",
    ),
    ("agent/src/python/search.rs", "which Pythons the hook takes"),
    ("agent/src/engine/generic.rs", "this"),
];

/// What is generic.
const GENERIC: [&str; 4] = [
    "agent/src",
    "coordinator/src/run.rs",
    "coordinator/src/run",
    "coordinator/src/plan.rs",
];

/// Too common a word to look for: `single`.
const COMMON: [&str; 1] = ["single"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The engines that are compiled in.
fn engines() -> Vec<String> {
    let files = std::fs::read_dir(repository().join("configs/engines")).unwrap();
    let names = files.map(|file| {
        file.unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    });
    names.filter(|name| !COMMON.contains(&name.as_str())).collect()
}

fn sources(at: &Path, found: &mut Vec<PathBuf>) {
    if at.is_dir() {
        let mut below: Vec<PathBuf> = std::fs::read_dir(at)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        below.sort();
        below.iter().for_each(|path| sources(path, found));
    } else if at.extension().is_some_and(|end| end == "rs") {
        found.push(at.to_owned());
    }
}

/// As a word of its own, also within a name: `spark_home`, `pyspark`.
fn names(line: &str, engine: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        let word = word.to_lowercase();
        // `ray` is in `array`.
        word == engine || (engine.len() > 3 && word.contains(engine))
    })
}

/// The product's lines of a file that name an engine.
fn naming(path: &Path, engines: &[String]) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let named = product.lines().enumerate().filter(|(_, line)| {
        // A hook is a module of its own.
        *line != "pub mod spark;" && engines.iter().any(|engine| names(line, engine))
    });
    named
        .map(|(at, line)| format!("{}:{}: {}", path.display(), at + 1, line.trim()))
        .collect()
}

#[test]
fn no_engine_is_named_in_what_is_generic() {
    let (root, engines) = (repository(), engines());
    assert!(engines.len() > 4, "{engines:?}");
    let mut files = Vec::new();
    for place in GENERIC {
        sources(&root.join(place), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    let excused = |path: &PathBuf| {
        NAMED
            .iter()
            .any(|(place, _)| path.starts_with(root.join(place)) || path == &root.join(format!("{place}.rs")))
    };
    files.retain(|path| !excused(path));
    let found: Vec<String> = files.iter().flat_map(|path| naming(path, &engines)).collect();
    assert!(
        found.is_empty(),
        "generic code names an engine; what is special about one belongs into its definition or its hook:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_name_is_found_in_whatever_it_stands() {
    for (line, engine, is) in [
        ("    env(\"SPARK_HOME\")", "spark", true),
        ("// as pyspark does", "spark", true),
        ("let array = stray", "ray", false),
        ("if name == \"ray\" {", "ray", true),
        ("// simple, impish", "mpi", false),
    ] {
        assert_eq!(names(line, engine), is, "{line}");
    }
}
