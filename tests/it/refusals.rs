//! A mistake costs two seconds and starts nothing.

use mayfly_tests::wait::secs;
use mayfly_tests::{Ended, GitServer, Home, Job, Repo, loopback};

/// Launches what is to be refused before anything starts.
fn refused(home: &Home, job: &Job) -> Ended {
    let ended = home.launch(job).wait(secs(30));
    ended.exited(2);
    home.assert_no_run();
    ended
}

fn repo() -> Repo {
    Repo::of(&[("main.py", "print('hello')\n"), ("lib.py", "")])
}

#[test]
fn an_entry_that_is_missing_in_a_folder() {
    let (home, repo) = (Home::new(), repo());
    refused(&home, &Job::new("job", &repo.url(), "mian.py"))
        .said("mian.py")
        .said("main.py");
}

#[test]
fn an_entry_that_is_missing_on_a_server() {
    let (home, repo) = (Home::new(), repo());
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    refused(&home, &Job::new("job", &url, "mian.py"))
        .said("mian.py")
        .said("main.py");
}

#[test]
fn a_ref_that_does_not_exist() {
    let (home, repo) = (Home::new(), repo());
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    for repo in [repo.url(), url] {
        let job = Job::new("job", &repo, "main.py").set("code.ref", "mian");
        refused(&home, &job)
            .said("\"mian\" is no branch, tag or commit")
            .said("main");
    }
}

#[test]
fn requirements_that_are_missing() {
    let (home, repo) = (Home::new(), repo());
    let job = Job::new("job", &repo.url(), "main.py").set("code.requirements", "needs.txt");
    refused(&home, &job).said("needs.txt");
}

#[test]
fn a_repository_that_nobody_serves() {
    let home = Home::new();
    let free = loopback::free();
    let ended = refused(
        &home,
        &Job::new("job", &format!("http://{free}/none.git"), "main.py"),
    );
    ended.said("cannot be reached");
}

#[test]
fn a_repository_that_its_server_does_not_have() {
    let (home, repo) = (Home::new(), repo());
    let server = GitServer::start(repo.path());
    refused(&home, &Job::new("job", &server.url("none.git"), "main.py")).said("none.git");
}

#[test]
fn a_job_file_with_a_mistake() {
    let (home, repo) = (Home::new(), repo());
    let job = Job::new("job", &repo.url(), "main.py").set("worker", 3);
    refused(&home, &job)
        .said("job.yml")
        .said("worker")
        .said("did you mean");
}
