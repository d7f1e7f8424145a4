//! Code at a URL.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::git_http::{GitServer, Manner};
use crate::repo::{Repo, code, git, resolve};

/// A folder with the bare repository `code.git` of a work tree, and an empty `empty.git`.
fn published(repo: &Repo) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    git(
        root.path(),
        &[
            "clone",
            "-q",
            "--bare",
            &repo.path().display().to_string(),
            "code.git",
        ],
    );
    git(root.path(), &["init", "-q", "--bare", "empty.git"]);
    root
}

#[tokio::test]
async fn a_ref_of_a_server_becomes_a_commit() {
    let repo = Repo::new();
    let first = repo.head();
    git(repo.path(), &["tag", "light"]);
    git(repo.path(), &["tag", "-a", "heavy", "-m", "x"]);
    git(repo.path(), &["branch", "feature/x"]);
    repo.write("main.py", "print(3)\n");
    let second = repo.commit("second");
    let root = published(&repo);
    let server = GitServer::start(root.path().to_owned(), Manner::Serves).await;
    for (reference, commit) in [
        (None, &second),
        (Some("main"), &second),
        (Some("refs/heads/main"), &second),
        (Some("light"), &first),
        (Some("heavy"), &first),
        (Some("feature/x"), &first),
        (Some(&first[..]), &first),
    ] {
        let (_scratch, source) = resolve(
            &code(&server.url("code.git"), reference, "main.py"),
            Path::new("/"),
            false,
        )
        .await;
        let source = source.unwrap_or_else(|e| panic!("{reference:?}: {e}"));
        assert_eq!(
            (&source.commit, source.bundle.is_none()),
            (commit, true),
            "{reference:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_before_anything_starts() {
    let repo = Repo::new();
    let head = repo.head();
    let root = published(&repo);
    let server = GitServer::start(root.path().to_owned(), Manner::Serves).await;
    let gone = {
        GitServer::start(root.path().to_owned(), Manner::Serves)
            .await
            .addr
    };
    for (url, reference, entry, says) in [
        (
            server.url("code.git"),
            Some("mian"),
            "main.py",
            "did you mean \"main\"?",
        ),
        (
            server.url("code.git"),
            Some(&head[..10]),
            "main.py",
            "write all of it",
        ),
        (
            server.url("code.git"),
            Some("0123456789012345678901234567890123456789"),
            "main.py",
            "no such commit",
        ),
        (
            server.url("code.git"),
            None,
            "mian.py",
            "did you mean \"main.py\"",
        ),
        (server.url("code.git"), None, "empty.py", "is empty"),
        (
            server.url("code.git"),
            None,
            "out.py",
            "leads out of the repository",
        ),
        (server.url("code.git"), None, "src", "is a folder, not a file"),
        (server.url("empty.git"), None, "main.py", "has no commit yet"),
        (
            server.url("none.git"),
            None,
            "main.py",
            "does not exist or wants a login",
        ),
        (
            format!("http://{gone}/code.git"),
            None,
            "main.py",
            "cannot be reached",
        ),
    ] {
        // `src` is no program's name for a job file; the check here is that of the repository.
        let mut wanted = code(&url, reference, "main.py");
        wanted.entry = mayfly_configs::RelPath::new(entry).unwrap();
        let (_scratch, source) = resolve(&wanted, Path::new("/"), false).await;
        let error = source.unwrap_err().to_string();
        assert!(error.contains(says), "{url} {reference:?} {entry}: {error}");
        assert!(!error.contains('\n'), "more than a sentence: {error}");
    }
}

#[tokio::test]
async fn a_login_is_not_asked_for_and_a_redirect_is_not_followed() {
    for (manner, says) in [
        (Manner::WantsLogin, "wants a login"),
        (Manner::Redirects, "redirect"),
    ] {
        let server = GitServer::start("/nonexistent".into(), manner).await;
        let began = Instant::now();
        let (_scratch, source) = resolve(
            &code(&server.url("x.git"), None, "main.py"),
            Path::new("/"),
            false,
        )
        .await;
        let error = source.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "took {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_can_be_left() {
    let server = GitServer::start("/nonexistent".into(), Manner::Hangs).await;
    let wanted = code(&server.url("x.git"), None, "main.py");
    let left = tokio::time::timeout(
        Duration::from_millis(500),
        resolve(&wanted, Path::new("/"), false),
    )
    .await;
    assert!(left.is_err(), "a silent server gave an answer");
}

#[tokio::test]
async fn uncommitted_work_is_a_matter_of_folders() {
    let server = GitServer::start("/nonexistent".into(), Manner::Hangs).await;
    let (_scratch, source) =
        resolve(&code(&server.url("x.git"), None, "main.py"), Path::new("/"), true).await;
    assert!(source.unwrap_err().to_string().contains("--dirty"));
}
