//! The settings file of `serve`, and that of a person: what they say is done, and flags and environment win over them.

use std::fs;
use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Serve, loopback, programs, slots};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let [listen, of_file, of_environment, of_flag] = [(); 4].map(|()| loopback::free().to_string());
    let text = format!("listen: {listen}\nadmin: {of_file}\nstate: state\n");
    fs::write(home.scratch("serve.yml"), text).unwrap();
    let serve = |flags: &[&str], environment: Option<&str>| {
        // Not by `Home`: its own folder would win over `state`.
        let mut command = Command::new(programs::path("coordinator"));
        command
            .args(["serve", "--json", "--config"])
            .arg(home.scratch("serve.yml"))
            .args(flags)
            .current_dir(home.scratch("gate"))
            .env_remove("MAYFLY_HOME")
            .envs(environment.map(|admin| ("MAYFLY_ADMIN", admin)));
        let mut serve = home.start(&mut command);
        let said: Value = serve.until("its address", secs(120), || {
            serde_json::from_str(&serve_line(&home)).ok()
        });
        serve.signal(Signal::SIGTERM);
        serve.wait(secs(30)).exited(0);
        assert_eq!(said["url"], format!("http://{listen}"));
        said["admin"].as_str().unwrap().to_owned()
    };
    assert_eq!(serve(&[], None), of_file);
    assert_eq!(serve(&[], Some(&of_environment)), of_environment);
    assert_eq!(serve(&["--admin", &of_flag], Some(&of_environment)), of_flag);
    assert!(
        home.scratch("state/store").is_dir(),
        "`state` is relative to the file"
    );
}

/// What the newest command has said.
fn serve_line(home: &Home) -> String {
    let said = |number: u32| fs::read_to_string(home.scratch(&format!("command-{number}.out"))).ok();
    (0..3).rev().find_map(said).unwrap_or_default()
}

#[test]
fn a_persons_settings_name_the_coordinator_and_its_token() {
    let _slot = slots::take();
    let (server, ann) = (Home::new(), Home::new());
    let serve = Serve::start(&server);
    let token = server.path().join("people.token");
    fs::write(ann.scratch("wrong"), "x".repeat(40)).unwrap();
    let cancel = |settings: &str, flags: &[&str]| {
        let file = ann.scratch("client.yml");
        fs::write(&file, settings).unwrap();
        let mut command = ann.command(&["cancel", "nothing"]);
        command.args(flags).env("MAYFLY_CLIENT_CONFIG", &file);
        ann.start(&mut command).wait(secs(30)).exited(2).stderr.clone()
    };
    let right = format!("coordinator: {}\ntoken_file: {}\n", serve.url, token.display());
    let wrong = format!("coordinator: {}\ntoken_file: wrong\n", serve.url);
    let known = "the coordinator drives no run \"nothing\"";
    let said = cancel(&right, &[]);
    assert!(said.contains(known), "{said}");
    let said = cancel(&wrong, &[]);
    assert!(said.contains("the token is not valid here"), "{said}");
    let flag = ["--token-file", &token.display().to_string()];
    let said = cancel(&wrong, &flag);
    assert!(said.contains(known), "a flag wins: {said}");
    let said = cancel(&right, &["--coordinator", "none"]);
    assert!(!said.contains("the coordinator drives"), "{said}");
}
