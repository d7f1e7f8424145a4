//! The settings of `coordinator serve`.

use std::path::{Path, PathBuf};

use mayfly_configs::{Errors, Given, SETTINGS_DEFAULTS, Settings, load_settings, parse_settings};

const FILE: &str = "/etc/mayfly/serve.yml";

fn of(text: &str) -> Result<Settings, Errors> {
    parse_settings(Some((Path::new(FILE), text)), &[])
}

fn given(flag: &'static str, key: &'static [&'static str], text: &str) -> Given {
    Given {
        flag,
        key,
        text: text.to_owned(),
    }
}

/// The defaults with every example that is commented out.
fn with_examples() -> String {
    let example = |line: &str| {
        let (indent, rest) = line.split_once('#')?;
        let (key, _) = rest.split_once(':')?;
        let key = key.trim();
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key && indent.trim().is_empty()).then(|| format!("{indent}{rest}"))
    };
    let lines = SETTINGS_DEFAULTS
        .lines()
        .map(|line| example(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_file_is_the_default_file() {
    let default = of(SETTINGS_DEFAULTS).unwrap_or_else(|errors| panic!("{errors}"));
    for empty in ["", "# nothing\n", "---\n", "{}\n"] {
        assert_eq!(
            of(empty).unwrap_or_else(|errors| panic!("{errors}")),
            default,
            "{empty:?}"
        );
    }
    assert_eq!(parse_settings(None, &[]).unwrap(), default);
    insta::assert_debug_snapshot!(default);
}

#[test]
fn every_example_of_the_default_file_is_right() {
    let settings = of(&with_examples()).unwrap_or_else(|errors| panic!("{errors}\n{}", with_examples()));
    insta::assert_debug_snapshot!(settings);
}

#[test]
fn what_is_given_lies_over_the_file_and_its_paths_are_taken_as_they_are() {
    let text = "listen: 0.0.0.0:1\nconsul: {address: \"http://a:1\", token_file: token}\n";
    let over = [
        given("--listen", &["listen"], "127.0.0.1:2"),
        given("--consul-token-file", &["consul", "token_file"], "other"),
    ];
    let settings = parse_settings(Some((Path::new(FILE), text)), &over).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:2");
    let consul = settings.consul.unwrap();
    assert_eq!(
        (consul.address.as_str(), consul.token_file),
        ("http://a:1", Some(PathBuf::from("other")))
    );
    let file = of(text).unwrap().consul.unwrap();
    assert_eq!(file.token_file, Some(PathBuf::from("/etc/mayfly/token")));
    let idle = [given("CONSUL_CACERT", &["consul", "ca_file"], "ca.pem")];
    assert_eq!(
        parse_settings(None, &idle).unwrap().consul,
        None,
        "the environment is for other programs too"
    );
    let errors = parse_settings(None, &[given("--listen", &["listen"], "here")]).unwrap_err();
    assert_eq!(
        (errors.list()[0].file.as_str(), errors.list()[0].key.as_str()),
        ("--listen", "listen")
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, words) in [
        (
            "lisen: 0.0.0.0:1\n",
            1,
            &["unknown key `lisen`", "did you mean `listen`?"][..],
        ),
        ("listen: 7070\n", 1, &["`listen` is `7070`", "IP:PORT"]),
        ("listen: localhost:7070\n", 1, &["IP:PORT"]),
        ("listen: 0.0.0.0:99999\n", 1, &["IP:PORT"]),
        ("admin: [a]\n", 1, &["`admin` is a list"]),
        ("\nspark: 3.4.0\n", 2, &["`spark` is `3.4.0`", "Spark 3.5 or 4"]),
        (
            "public_url: mayfly:7070\n",
            1,
            &["`public_url` is not an http or https URL"],
        ),
        ("public_url: https://host:0\n", 1, &["1 to 65535"]),
        (
            "public_url: https://host/path\n",
            1,
            &["more than a host and a port"],
        ),
        (
            "public_url: https://me:hunter2@host\n",
            1,
            &["more than a host and a port"],
        ),
        ("state: ~/x\n", 1, &["`~` is not expanded"]),
        ("state: \"\"\n", 1, &["`state` is empty"]),
        (
            "store: {bucket: My_Bucket}\n",
            1,
            &["`store.bucket` has the bucket"],
        ),
        ("store: {bucket: good-one}\n", 1, &["access_key_file"]),
        (
            "store: {access_key_file: x}\n",
            1,
            &["`store.access_key_file` is given without `bucket`"],
        ),
        (
            "store: {secret_key: hunter2}\n",
            1,
            &["unknown key `secret_key`", "`secret_key_file`"],
        ),
        ("store: {prefix: ../x}\n", 1, &["`store.prefix`"]),
        ("store:\n", 1, &["`store` has no value"]),
        (
            "consul: {token: hunter2}\n",
            1,
            &["unknown key `token`", "`token_file`"],
        ),
        (
            "consul: {token_file: x}\n",
            1,
            &["`consul.token_file` is given without `address`"],
        ),
        (
            "consul: {address: \"http://u:hunter2@h\"}\n",
            1,
            &["`consul.address`"],
        ),
        (
            "consul: {address: h, prefix: A/b}\n",
            1,
            &["`consul.prefix` is `A/b`"],
        ),
        (
            "consul: {address: h, datacenter: a/b}\n",
            1,
            &["`consul.datacenter` is `a/b`"],
        ),
        (
            "tls: {cert_file: a}\n",
            1,
            &["`tls.cert_file` is given without `key_file`"],
        ),
        (
            "limits: {runs: 0}\n",
            1,
            &["`limits.runs` is `0`, which is out of bounds"],
        ),
        (
            "limits: {connections: 2k}\n",
            1,
            &["`limits.connections` is `2k`"],
        ),
        ("limits: {run: 1}\n", 1, &["did you mean `runs`?"]),
        ("connections: 5\n", 1, &["`connections` belongs under `limits`"]),
        ("address: h\n", 1, &["`address` belongs under `consul`"]),
        ("- a\n", 1, &["the file holds a list, not settings"]),
        ("listen: &a 0.0.0.0:1\n", 1, &["anchors"]),
        ("a: b\n---\nc: d\n", 2, &["second YAML document"]),
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
fn all_mistakes_are_told_at_once() {
    let errors = of("listen: x\nadmin: y\nconsul: {address: \"a b\"}\n").unwrap_err();
    let lines: Vec<_> = errors.list().iter().map(|one| one.line).collect();
    assert_eq!(lines, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serve.yml");
    std::fs::write(&path, "state: here\n").unwrap();
    assert_eq!(
        load_settings(Some(&path), &[]).unwrap().state,
        Some(folder.path().join("here"))
    );
    assert!(load_settings(Some(folder.path()), &[]).is_err());
}
