//! YAML itself.

use crate::rig::refused;

#[test]
fn yaml_itself() {
    let cases: &[(&str, &str, usize, &[&str])] = &[
        (
            "1 empty file",
            "",
            0,
            &["the file is empty", "write a block per job"],
        ),
        ("2 only comments", "# a\n# b\n", 0, &["the file is empty"]),
        ("2 only a document start", "---\n", 0, &["the file is empty"]),
        (
            "5 tab for indent",
            "a:\n\tcode: {entry: a.py}\n",
            2,
            &["tab", "indent with spaces"],
        ),
        (
            "6 duplicate key",
            "a:\n  env: {}\n  env: {}\n  code: {entry: a.py}\n",
            3,
            &["`env` is there twice"],
        ),
        (
            "6 duplicate job",
            "a: {code: {entry: a.py}}\na: {code: {entry: a.py}}\n",
            2,
            &["`a` is there twice"],
        ),
        (
            "11 anchor",
            "a: &x {code: {entry: a.py}}\n",
            1,
            &["anchors and aliases", "`defaults`"],
        ),
        (
            "12 recursive alias",
            "a: &x\n  b: *x\n",
            1,
            &["anchors and aliases"],
        ),
        ("12 unknown alias", "a:\n  env: *x\n", 2, &["anchors and aliases"]),
        ("11 merge key", "a:\n  <<: {engine: spark}\n", 2, &["merge keys"]),
        (
            "15 second document",
            "a: {code: {entry: a.py}}\n---\nb: {}\n",
            2,
            &["second YAML document"],
        ),
        (
            "16 custom tag",
            "a:\n  engine: !!python/object x\n",
            2,
            &["the tag `!!python/object` is not allowed"],
        ),
        ("16 core tag", "a:\n  engine: !!str spark\n", 2, &["tag"]),
        ("16 directive", "%YAML 1.2\n---\na: {}\n", 1, &["directives"]),
        ("not closed", "a: {code: [x\n", 1, &["not valid YAML"]),
        ("key is a list", "[a, b]: 1\n", 1, &["a key must be a plain word"]),
        (
            "a list of jobs",
            "- a\n- b\n",
            1,
            &["the file holds a list, not jobs"],
        ),
        ("one word", "hello\n", 1, &["the file holds a single value"]),
        ("only defaults", "defaults: {engine: spark}\n", 1, &["0 jobs"]),
        ("32 NUL", "a:\n  engine: sp\0ark\n", 2, &["(U+0000)"]),
        (
            "32 right-to-left override",
            "a:\n  engine: \u{202e}krapS\n",
            2,
            &["(U+202E)"],
        ),
        ("32 zero width space", "a\u{200b}b: {}\n", 1, &["(U+200B)"]),
        ("32 escape sequence", "a: \u{1b}[31m\n", 1, &["(U+001B)"]),
    ];
    for (name, text, line, words) in cases {
        refused(name, text, *line, words);
    }
}
