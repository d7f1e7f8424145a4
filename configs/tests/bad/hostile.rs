//! Input that is meant to do harm, or is none at all.

use mayfly_configs::{load, parse, parse_job};
use proptest::prelude::*;

use crate::rig::{FULL, env, errors, job};

#[test]
fn files_that_cannot_be_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yml");
    let shown = |path: &std::path::Path| load(path).unwrap_err();
    assert!(shown(&path).to_string().contains("cannot be read"));
    assert!(shown(folder.path()).to_string().contains("this is not a file"));
    assert!(
        shown(std::path::Path::new("/dev/zero"))
            .to_string()
            .contains("this is not a file")
    );
    std::fs::write(&path, b"a:\n  engine: \xff\xfe\n").unwrap();
    let errors = shown(&path);
    assert_eq!(
        (errors.list()[0].line, errors.list()[0].column),
        (Some(2), Some(11)),
        "4 invalid UTF-8: {errors}"
    );
    std::fs::write(&path, b"a\0b").unwrap();
    assert!(shown(&path).to_string().contains("(U+0000)"));
    // 14: 200 MB, as a hole so that the disk does not notice.
    std::fs::File::create(&path).unwrap().set_len(200 << 20).unwrap();
    assert!(shown(&path).to_string().contains("larger than 1 MiB"));
}

/// Text that would take for ever, or all memory, or the whole stack.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10)))
        .collect();
    let half = 500_000;
    vec![
        ("13 flow lists", "[".repeat(10_000)),
        ("13 flow maps", "{a: ".repeat(10_000)),
        (
            "13 block maps",
            (0..1_300).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        ),
        ("13 block lists", "- ".repeat(10_000)),
        ("13 explicit keys", "? ".repeat(10_000)),
        ("11 billion laughs", format!("a0: &a0 [x]\n{laughs}")),
        ("many values", format!("a: [{}]", "x,".repeat(half))),
        ("many keys", (0..80_000).map(|n| format!("k{n}: 1\n")).collect()),
        (
            "many unknown keys",
            job(&(0..15_000).map(|n| format!("k{n}: 1\n")).collect::<String>()),
        ),
        (
            "a long value",
            job(&format!("env: {{A: {}}}", "x".repeat(1_000_000))),
        ),
        ("long key", format!("\"{}\": 1", "x".repeat(1_000_000))),
        ("long plain key", format!("{}: 1", "x".repeat(1_000_000))),
        ("colons", ":".repeat(1_000_000)),
        ("hashes", "#".repeat(1_000_000) + "\n["),
        ("many quotes", "\"".repeat(1_000_001)),
        ("many anchors", (0..100_000).map(|n| format!("&a{n}\n")).collect()),
        ("many documents", "---\n".repeat(200_000)),
        ("blank lines", "\n".repeat(1_000_000) + "["),
        (
            "one big line of flow",
            format!("a: {{{}", "x: [1, 2], ".repeat(80_000)),
        ),
    ]
}

#[test]
fn bombs_are_refused_in_few_words() {
    for (name, text) in bombs() {
        let shown = errors(&text).to_string();
        assert!(shown.len() < 12_000, "{name}: {} bytes", shown.len());
    }
    let deep = errors(&"[".repeat(10_000)).to_string();
    assert!(deep.contains("levels of nesting"), "{deep}");
    assert!(errors("a: &a [x]\nb: [*a, *a]\n").to_string().contains("anchors"));
}

#[test]
fn a_small_stack_is_enough() {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let run = || {
        bombs()
            .iter()
            .map(|(_, text)| errors(text).list().len())
            .sum::<usize>()
    };
    assert!(small.spawn(run).unwrap().join().unwrap() > 0);
}

/// As many jobs as a file may have, each with as many errors or values as fit.
#[test]
fn a_full_file_is_taken() {
    let shared: String = (0..90)
        .map(|n| format!("    E{n}: {}\n", "x".repeat(300)))
        .collect();
    let jobs: String = (0..100)
        .map(|n| format!("j{n}: {{code: {{entry: a.py}}, workers: {{count: 3}}}}\n"))
        .collect();
    let file = parse("jobs.yml", &format!("defaults:\n  env:\n{shared}{jobs}"), &env).unwrap();
    assert_eq!(file.jobs.len(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        answered(&text)?;
    }

    #[test]
    fn yaml_like_text_is_answered(text in "[ a-c:{}\\[\\],\"'#&*!|>%@?~\n\t\r0-\u{e9}-]{0,120}") {
        answered(&text)?;
    }

    #[test]
    fn a_changed_file_is_answered(at in 0_usize..1_400, gone in 0_usize..20, new in "\\PC{0,8}|[\n\t :{}\\[\\]'\"&*!-]{0,8}") {
        let chars: Vec<char> = FULL.chars().collect();
        let at = at.min(chars.len());
        let rest = chars.iter().skip(at + gone);
        let text: String = chars.iter().take(at).copied().chain(new.chars()).chain(rest.copied()).collect();
        answered(&text)?;
    }

    #[test]
    fn any_set_is_answered(key in "[a-z.\"]{0,20}|(workers|code|spark.conf|env)\\.\\PC{0,20}", value in "\\PC{0,40}") {
        let result = parse_job("full.yml", FULL, &env, Some("flights"), &[(key, value)]);
        if let Err(errors) = result {
            prop_assert!(!errors.list().is_empty());
        }
    }
}

/// Right, or with at least one error that has a place and no control character.
fn answered(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = parse("jobs.yml", text, &env) {
        prop_assert!(!errors.list().is_empty());
        prop_assert!(!errors.to_string().chars().any(|c| c.is_control() && c != '\n'));
    }
    Ok(())
}
