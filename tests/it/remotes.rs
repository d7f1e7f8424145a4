//! Code on servers as they are: HTTPS with an authority of its own, SSH with keys.

mod tls;

use std::path::Path;
use std::process::{Child, Command};

use mayfly_tests::programs::must;
use mayfly_tests::sshd::{Client, Sshd};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{GitServer, Home, Job, Repo, slots};

use tls::Front;

fn repo() -> Repo {
    Repo::of(&[(
        "main.sh",
        "echo \"ran $MAYFLY_RUN\" > \"$MAYFLY_RESULTS/said.txt\"\n",
    )])
}

/// A job of one machine.
fn job(name: &str, url: &str) -> Job {
    Job::new(name, url, "main.sh")
        .set("engine", "single")
        .without("workers")
}

fn refused(home: &Home, url: &str, says: &str) {
    home.launch(&job("refused", url))
        .wait(secs(60))
        .exited(2)
        .said(says);
    home.assert_no_run();
}

/// The whole way: looked at before the launch, fetched by the node.
fn runs(home: &Home, name: &str, url: &str, commit: &str) {
    let job = job(name, url);
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(120)).exited(0);
    assert_eq!(run.assert_closed("succeeded")["commit"], commit);
    assert_eq!(run.stored(1).keys().collect::<Vec<_>>(), ["said.txt"]);
}

/// The repository over HTTPS, and its URL.
fn https(repo: &Repo) -> (GitServer, Front, String) {
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    let (address, name) = url.trim_start_matches("http://").split_once('/').unwrap();
    let front = Front::before(address.parse().unwrap());
    let url = format!("https://localhost:{}/{name}", front.port());
    (server, front, url)
}

#[test]
fn an_authority_that_git_does_not_know_is_named_and_one_that_the_environment_names_is_enough() {
    let _slot = slots::take();
    let repo = repo();
    let (_server, front, url) = https(&repo);
    let says = "set GIT_SSL_CAINFO to the file with that authority's certificate";
    refused(&Home::new(), &url, says);
    // Settings of Git that a person has do not count, and the refusal says so.
    let mut home = Home::new();
    let person = home.scratch("person");
    std::fs::create_dir(&person).unwrap();
    let authority = home.scratch("authority.pem");
    std::fs::write(&authority, front.authority()).unwrap();
    let settings = format!("[http]\n\tsslCAInfo = {}\n", authority.display());
    std::fs::write(person.join(".gitconfig"), settings).unwrap();
    let cache = mayfly_agent::toolchain::default_cache();
    home.set_environment(&[
        ("HOME", person.to_str().unwrap()),
        ("MAYFLY_CACHE", cache.to_str().unwrap()),
    ]);
    refused(&home, &url, "what `git config` says does not count");
    // The node finds the authority, too.
    home.set_environment(&[("GIT_SSL_CAINFO", authority.to_str().unwrap())]);
    runs(&home, "tls", &url, &repo.head());
}

/// A home whose `ssh` has settings of its own.
fn home(server: &Sshd, has: Client) -> Home {
    let mut home = Home::new();
    let path = std::env::var("PATH").unwrap();
    let client = server.client(has);
    home.set_environment(&[("PATH", &format!("{}:{path}", client.display()))]);
    home
}

#[test]
fn a_repository_over_ssh_whichever_way_it_is_written() {
    let _slot = slots::take();
    let (repo, server) = (repo(), Sshd::start());
    let home = home(&server, Client::Key);
    runs(&home, "url", &server.url(repo.path()), &repo.head());
    runs(&home, "scp", &server.scp_url(repo.path()), &repo.head());
    refused_here(&home, &server, repo.path());
}

/// What the server does not have costs nothing.
fn refused_here(home: &Home, server: &Sshd, repo: &Path) {
    let before = home.runs();
    let none = repo.with_file_name("none");
    let ended = home.launch(&job("none", &server.url(&none))).wait(secs(60));
    ended.exited(2).said("does not exist or wants a login");
    let job = job("ref", &server.url(repo)).set("code.ref", "mian");
    home.launch(&job)
        .wait(secs(60))
        .exited(2)
        .said("\"mian\" is no branch");
    assert_eq!(home.runs(), before);
}

/// An `ssh-agent` that ends with this.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_key_that_only_an_agent_holds() {
    let _slot = slots::take();
    let (repo, server) = (repo(), Sshd::start());
    let mut home = home(&server, Client::Agent);
    let socket = home.scratch("agent");
    let mut agent = Command::new("ssh-agent");
    agent.arg("-D").arg("-a").arg(&socket);
    let _agent = Agent(agent.stdout(std::process::Stdio::null()).spawn().unwrap());
    wait::until("the agent", secs(10), || socket.exists().then_some(()));
    refused(&home, &server.url(repo.path()), "wants a login");
    must(
        Command::new("ssh-add")
            .arg("-q")
            .arg(server.key())
            .env("SSH_AUTH_SOCK", &socket),
    );
    home.set_environment(&[("SSH_AUTH_SOCK", socket.to_str().unwrap())]);
    runs(&home, "held", &server.url(repo.path()), &repo.head());
}

#[test]
fn nobody_is_asked_for_a_passphrase_and_a_strangers_key_is_not_taken() {
    let (repo, server) = (repo(), Sshd::start());
    let url = server.url(repo.path());
    refused(
        &home(&server, Client::Stranger),
        &url,
        "ssh does not know its host key",
    );
    // At a terminal, where ssh would ask and wait.
    let home = home(&server, Client::Passphrase);
    let mut command = home.command(&["launch"]);
    command.arg(job("locked", &url).write(&home));
    let ended = home.start_at_terminal(&command).wait(secs(60));
    ended.exited(2);
    let shown = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        shown.contains("an ssh URL whose key your agent holds"),
        "not told what to do: {shown}"
    );
    assert!(
        !shown.to_lowercase().contains("enter passphrase"),
        "asked: {shown}"
    );
    home.assert_no_run();
}
