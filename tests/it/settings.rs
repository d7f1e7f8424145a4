//! The settings file of `serve`: what it says is done, and flags and environment win over it.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, programs};
use nix::sys::signal::Signal;
use serde_json::Value;

fn free() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let [listen, of_file, of_environment, of_flag] = [free(), free(), free(), free()];
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
