//! The settings of a person's commands.

use std::path::{Path, PathBuf};

use mayfly_configs::{ClientSettings, Errors, load_client, parse_client};

const FILE: &str = "/home/me/.config/mayfly/client.yml";
/// The reference that we ship.
const REFERENCE: &str = include_str!("../client.yml");

fn of(text: &str) -> Result<ClientSettings, Errors> {
    parse_client(Path::new(FILE), text)
}

/// The reference with every example that is commented out, but for one key.
fn with_examples(without: &str) -> String {
    let example = |line: &str| {
        let rest = line.strip_prefix('#')?;
        let (key, _) = rest.split_once(": ")?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key && key != without).then(|| rest.to_owned())
    };
    let lines = REFERENCE
        .lines()
        .map(|line| example(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_file_says_nothing() {
    for empty in ["", "# nothing\n", "{}\n", REFERENCE] {
        assert_eq!(of(empty).unwrap(), ClientSettings::default(), "{empty:?}");
    }
}

#[test]
fn every_example_of_the_reference_is_right() {
    let print = "sha256:4f0c1f2d5e7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c";
    let pinned = ClientSettings {
        coordinator: Some("https://mayfly.example.org:7070".into()),
        token_file: Some(PathBuf::from("/home/me/.config/mayfly/people.token")),
        fingerprint: Some(print.into()),
        ca_file: None,
    };
    assert_eq!(of(&with_examples("ca_file")).unwrap(), pinned);
    let by_file = ClientSettings {
        fingerprint: None,
        ca_file: Some(PathBuf::from("/home/me/.config/mayfly/ca.pem")),
        ..pinned
    };
    assert_eq!(of(&with_examples("fingerprint")).unwrap(), by_file);
    for word in ["consul", "none"] {
        let settings = of(&format!("coordinator: {word}\n")).unwrap();
        assert_eq!(settings.coordinator.as_deref(), Some(word));
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let both = with_examples("");
    for (text, line, words) in [
        (
            "\ncordinator: none\n",
            2,
            &["unknown key `cordinator`", "did you mean `coordinator`?"][..],
        ),
        (
            "coordinator: mayfly:7070\n",
            1,
            &["not an http or https URL", "https://mayfly.example.org:7070"],
        ),
        ("coordinator: https://me:hunter2@host\n", 1, &["more than a host"]),
        ("token: hunter2\n", 1, &["`token_file`"]),
        ("coordinator: none\ntoken_file: ~/x\n", 2, &["not expanded"]),
        (
            "token_file: x\n",
            1,
            &["`token_file` is given without `coordinator`"],
        ),
        (
            "coordinator: none\nfingerprint: sha256:4f0c\n",
            2,
            &["`fingerprint` is `sha256:4f0c`", "64 hex digits"],
        ),
        ("- a\n", 1, &["the file holds a list", "coordinator: https://"]),
        (&both, 24, &["`ca_file` is given beside `fingerprint`"]),
    ] {
        let errors = of(text).err().unwrap_or_else(|| panic!("accepted: {text:?}"));
        let shown = errors.to_string();
        assert_eq!(errors.list()[0].line, Some(line), "{text:?}: {shown}");
        assert!(shown.contains(FILE), "{shown}");
        assert!(words.iter().all(|word| shown.contains(word)), "{text:?}: {shown}");
        assert!(!shown.contains("hunter2"), "{text:?}: {shown}");
    }
}

#[test]
fn a_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.yml");
    std::fs::write(&path, "coordinator: none\n").unwrap();
    assert_eq!(load_client(&path).unwrap().coordinator.as_deref(), Some("none"));
    assert!(load_client(folder.path()).is_err());
}
