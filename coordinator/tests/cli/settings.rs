//! The settings of `serve` and of a person on the command line: wrong ones start nothing.

use std::fs;

use crate::refusals::{coordinator, coordinator_for_a_minute, run, stderr};

#[test]
fn the_default_settings_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["serve", "--print-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        mayfly_configs::SETTINGS_DEFAULTS
    );
}

#[test]
fn wrong_settings_are_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("bad.yml"),
        "\nlisen: 127.0.0.1:1\nconsul: {token: hunter2}\n",
    )
    .unwrap();
    fs::write(dir.path().join("good.yml"), "").unwrap();
    for (args, environment, says) in [
        (
            &["serve", "--config", "bad.yml"][..],
            None,
            "did you mean `listen`?",
        ),
        (&["serve"], Some(("MAYFLY_CONFIG", "bad.yml")), "bad.yml:2:1"),
        (&["serve", "--config", "bad.yml"], None, "`token_file`"),
        (&["serve", "--config", "none.yml"], None, "none.yml"),
        (
            &["serve", "--listen", "nowhere"],
            None,
            "--listen (MAYFLY_LISTEN)",
        ),
        (
            &["serve", "--config", "good.yml"],
            Some(("MAYFLY_ADMIN", "x")),
            "`admin` is `x`",
        ),
        (&["serve", "--spark", "3.4.1"], None, "`spark` is `3.4.1`"),
    ] {
        let output = coordinator_for_a_minute(dir.path())
            .args(args)
            .envs(environment)
            .output()
            .unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.contains(says) && !said.contains("hunter2"),
            "{args:?}: {said}"
        );
    }
    assert!(!dir.path().join(".mayfly").exists());
}

#[test]
fn a_persons_settings_are_for_the_coordinator_that_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join(".config/mayfly");
    fs::create_dir_all(&own).unwrap();
    let nobody = "http://127.0.0.1:1";
    let named = format!("coordinator: {nobody}\ntoken_file: missing\n");
    let trusting = "coordinator: https://127.0.0.1:1\nca_file: no-ca\n";
    for (settings, args, environment, exit, says) in [
        (
            "cordinator: none\n",
            &[][..],
            None,
            2,
            "did you mean `coordinator`?",
        ),
        ("", &[], Some(("MAYFLY_CLIENT_CONFIG", "none.yml")), 2, "none.yml"),
        (&named, &[], None, 2, "mayfly/missing"),
        (&named, &["--coordinator", nobody], None, 2, "mayfly/missing"),
        (
            &named,
            &["--coordinator", "http://127.0.0.1:2"],
            None,
            3,
            "127.0.0.1:2",
        ),
        (&named, &[], Some(("MAYFLY_TOKEN", "x")), 3, "cannot connect"),
        (&named, &["--coordinator", "none"], None, 2, "no run"),
        (trusting, &[], None, 2, "no-ca"),
    ] {
        fs::write(own.join("client.yml"), settings).unwrap();
        let mut command = coordinator(dir.path());
        command.args(["cancel", "last"]).args(args);
        let output = command
            .env("HOME", dir.path())
            .envs(environment)
            .output()
            .unwrap();
        let said = stderr(&output);
        let told = (output.status.code(), said.contains(says));
        assert_eq!(told, (Some(exit), true), "{settings:?} {args:?}: {said}");
    }
}
