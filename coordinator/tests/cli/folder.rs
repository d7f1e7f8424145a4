//! Code in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use mayfly_coordinator::source::SourceError;

use crate::repo::{Repo, code, git, git_output, resolve};

#[tokio::test]
async fn a_ref_becomes_a_commit_and_its_bundle_can_be_cloned() {
    let repo = Repo::new();
    let first = repo.head();
    git(repo.path(), &["tag", "light"]);
    git(repo.path(), &["tag", "-a", "heavy", "-m", "x"]);
    git(repo.path(), &["branch", "feature/x"]);
    repo.write("main.py", "print(3)\n");
    let second = repo.commit("second");
    for (reference, commit) in [
        (None, &second),
        (Some("main"), &second),
        (Some("light"), &first),
        (Some("heavy"), &first),
        (Some("feature/x"), &first),
        (Some(&first[..]), &first),
        (Some(&first[..8]), &first),
    ] {
        let (scratch, source) = resolve(&code(".", reference, "main.py"), repo.path(), false).await;
        let source = source.unwrap();
        assert_eq!(&source.commit, commit, "{reference:?}");
        let bundle = source.bundle.unwrap();
        let clone = scratch.path().join("clone");
        git(scratch.path(), &["init", "-q", "clone"]);
        git(
            &clone,
            &[
                "fetch",
                "-q",
                bundle.to_str().unwrap(),
                "refs/heads/*:refs/remotes/b/*",
            ],
        );
        assert_eq!(git(&clone, &["rev-parse", "refs/remotes/b/mayfly"]), *commit);
        assert_eq!(
            git(&clone, &["for-each-ref", "--format=x"]),
            "x",
            "one ref and no more"
        );
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_what_would_be_right() {
    let repo = Repo::new();
    let empty = Repo::empty();
    let plain = tempfile::tempdir().unwrap();
    let here = repo.path();
    for (base, folder, reference, entry, says) in [
        (plain.path(), ".", None, "main.py", "git init && git add"),
        (empty.path(), ".", None, "main.py", "has no commit yet"),
        (here, "./none", None, "main.py", "does not exist"),
        (here, "./main.py", None, "main.py", "does not exist"),
        (here, ".", Some("mian"), "main.py", "did you mean \"main\"?"),
        (
            here,
            ".",
            Some("0123456789012345678901234567890123456789"),
            "main.py",
            "is no branch, tag or commit",
        ),
        (here, ".", None, "mian.py", "did you mean \"main.py\""),
        (here, ".", None, "job.py", "did you mean \"src/job.py\"?"),
        (here, ".", None, "src/zzzzzzzz.py", "there is \"src/job.py\""),
        (here, ".", None, "empty.py", "is empty"),
        (here, ".", None, "out.py", "leads out of the repository"),
        (here, ".", None, "up.py", "leads out of the repository"),
        (here, ".", None, "self.py", "leads to itself"),
    ] {
        let (_scratch, source) = resolve(&code(folder, reference, entry), base, false).await;
        let error = source.unwrap_err().to_string();
        assert!(error.contains(says), "{folder} {reference:?} {entry}: {error}");
        assert!(!error.contains('\n'), "more than a sentence: {error}");
    }
}

#[tokio::test]
async fn the_folder_and_the_requirements_are_looked_for_too() {
    let repo = Repo::new();
    let mut wanted = code(".", None, "job.py");
    wanted.path = mayfly_configs::RelPath::new("src").unwrap();
    let (_scratch, source) = resolve(&wanted, repo.path(), false).await;
    assert_eq!(source.unwrap().path, "src");
    wanted.requirements = Some(mayfly_configs::RelPath::new("requirements.txt").unwrap());
    let (_scratch, source) = resolve(&wanted, repo.path(), false).await;
    let error = source.unwrap_err().to_string();
    assert!(
        error.contains("code.requirements \"src/requirements.txt\" does not exist"),
        "{error}"
    );
    wanted.path = mayfly_configs::RelPath::new("main.py").unwrap();
    let (_scratch, source) = resolve(&wanted, repo.path(), false).await;
    assert!(
        source
            .unwrap_err()
            .to_string()
            .contains("code.path \"main.py\" is a file")
    );
}

#[tokio::test]
async fn a_link_inside_the_repository_is_followed() {
    let repo = Repo::new();
    let (_scratch, source) = resolve(&code(".", None, "in.py"), repo.path(), false).await;
    assert_eq!(source.unwrap().commit, repo.head());
}

#[tokio::test]
async fn uncommitted_work_is_told_and_a_clean_tree_is_not() {
    let repo = Repo::new();
    let (_scratch, source) = resolve(&code(".", None, "main.py"), repo.path(), false).await;
    assert!(source.unwrap().warnings.is_empty());
    repo.write("main.py", "print(9)\n");
    repo.write("new.py", "print(9)\n");
    let (_scratch, source) = resolve(&code(".", None, "main.py"), repo.path(), false).await;
    let warnings = source.unwrap().warnings;
    assert!(
        warnings[0].contains("main.py and 1 more") && warnings[0].contains("--dirty"),
        "{warnings:?}"
    );
}

/// Every file below `.git`, byte for byte.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                found.insert(
                    path.display().to_string(),
                    std::fs::read_link(&path).unwrap().display().to_string().into(),
                );
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_dirty_launch_takes_everything_along_and_touches_nothing() {
    let repo = Repo::new();
    let head = repo.head();
    repo.write("main.py", "print('stashed')\n");
    git(repo.path(), &["stash", "-q"]);
    repo.write("src/job.py", "print('staged')\n");
    git(repo.path(), &["add", "src/job.py"]);
    repo.write("main.py", "print('changed')\n");
    repo.write("new/file.py", "print('new')\n");
    repo.write("secret.ignored", "x");
    std::fs::remove_file(repo.path().join("requirements.txt")).unwrap();
    let before = files(repo.path());

    let (scratch, source) = resolve(&code(".", None, "main.py"), repo.path(), true).await;
    let source = source.unwrap();
    assert_eq!(files(repo.path()), before, "something of the user's was changed");
    assert_ne!(source.commit, head);
    let status = git(repo.path(), &["status", "--porcelain"]);
    assert_eq!(
        status,
        " M main.py\n D requirements.txt\nM  src/job.py\n?? new/".trim_start_matches('\n')
    );
    assert!(git_output(repo.path(), &["fsck", "--strict"]).status.success());
    assert_eq!(git(repo.path(), &["stash", "list"]).lines().count(), 1);

    git(
        scratch.path(),
        &[
            "clone",
            "-q",
            "-b",
            "mayfly",
            source.bundle.unwrap().to_str().unwrap(),
            "out",
        ],
    );
    let out = scratch.path().join("out");
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(git(&out, &["rev-parse", "HEAD"]), source.commit);
    assert_eq!(git(&out, &["rev-parse", "HEAD^"]), head);
    assert_eq!(read("main.py"), "print('changed')\n");
    assert_eq!(read("src/job.py"), "print('staged')\n");
    assert_eq!(read("new/file.py"), "print('new')\n");
    assert!(!out.join("secret.ignored").exists() && !out.join("requirements.txt").exists());

    let (_scratch, again) = resolve(&code(".", None, "main.py"), repo.path(), true).await;
    assert_eq!(
        again.unwrap().commit,
        source.commit,
        "the same work is the same commit"
    );
}

#[tokio::test]
async fn a_dirty_launch_of_a_clean_tree_is_its_commit() {
    let repo = Repo::new();
    let (_scratch, source) = resolve(&code(".", None, "main.py"), repo.path(), true).await;
    assert_eq!(source.unwrap().commit, repo.head());
}

#[tokio::test]
async fn a_change_in_the_same_second_and_of_the_same_size_is_seen() {
    let repo = Repo::new();
    repo.write("main.py", "print(8)\n");
    let (_scratch, source) = resolve(&code(".", None, "main.py"), repo.path(), true).await;
    assert_ne!(source.unwrap().commit, repo.head());
}

#[tokio::test]
async fn dirty_work_of_something_else_than_what_is_checked_out_is_refused() {
    let repo = Repo::new();
    git(repo.path(), &["branch", "old"]);
    repo.write("main.py", "print(3)\n");
    repo.commit("second");
    let (_scratch, source) = resolve(&code(".", Some("old"), "main.py"), repo.path(), true).await;
    assert!(
        matches!(source, Err(SourceError::DirtyElsewhere(..))),
        "{source:?}"
    );
}

#[tokio::test]
async fn a_linked_work_tree_a_bare_and_a_sha256_repository_work_and_a_shallow_one_is_refused() {
    let repo = Repo::new();
    let side = tempfile::tempdir().unwrap();
    let at = |name: &str| side.path().join(name).display().to_string();
    git(repo.path(), &["worktree", "add", "-q", &at("tree")]);
    std::fs::write(side.path().join("tree/main.py"), "print(7)\n").unwrap();
    let (_scratch, source) = resolve(&code(&at("tree"), None, "main.py"), repo.path(), true).await;
    assert_ne!(source.unwrap().commit, repo.head());

    git(
        side.path(),
        &[
            "clone",
            "-q",
            "--bare",
            &repo.path().display().to_string(),
            "bare",
        ],
    );
    let (_scratch, source) = resolve(&code(&at("bare"), Some("main"), "main.py"), repo.path(), false).await;
    assert_eq!(source.unwrap().commit, repo.head());

    repo.write("main.py", "print(3)\n");
    repo.commit("second");
    let url = format!("file://{}", repo.path().display());
    git(side.path(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    let (_scratch, source) = resolve(&code(&at("shallow"), None, "main.py"), repo.path(), false).await;
    assert!(matches!(source, Err(SourceError::Shallow(_))), "{source:?}");

    git(side.path(), &["init", "-q", "--object-format=sha256", "long"]);
    std::fs::write(side.path().join("long/main.py"), "print(7)\n").unwrap();
    git(&side.path().join("long"), &["add", "-A"]);
    git(&side.path().join("long"), &["commit", "-q", "-m", "x"]);
    let (_scratch, source) = resolve(&code(&at("long"), None, "main.py"), repo.path(), false).await;
    assert_eq!(source.unwrap().commit.len(), 64);
}
