//! Programs of a repository that cannot be run, wherever it is: refused before anything starts, with what would be right.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use mayfly_configs::{Code, RelPath};

use crate::git_http::{GitServer, Manner};
use crate::refusals::{run, stderr};
use crate::repo::{Repo, code, git, resolve};

/// A repository with programs of every kind.
fn repo() -> Repo {
    let repo = Repo::empty();
    for (name, text, mode) in [
        ("good.sh", "echo hi\n", 0o644),
        ("windows.sh", "#!/bin/bash\r\necho hi\r\n", 0o755),
        ("run", "#!/bin/sh\necho hi\n", 0o755),
        ("plain", "#!/bin/sh\necho hi\n", 0o644),
        ("crlf", "#!/bin/sh\r\necho hi\r\n", 0o755),
        ("zero", "", 0o755),
        ("sub/run", "#!/bin/sh\n", 0o644),
    ] {
        let path = repo.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // As holes, so that the disk does not notice.
    for name in ["large.py", "large.jar"] {
        let file = std::fs::File::create(repo.path().join(name)).unwrap();
        file.set_len(100 << 20).unwrap();
    }
    std::os::unix::fs::symlink("/bin/sh", repo.path().join("out")).unwrap();
    repo.commit("programs");
    repo
}

fn entry(repo: &str, entry: &str) -> Code {
    let mut wanted = code(repo, None, "main.py");
    wanted.entry = RelPath::new(entry).unwrap();
    wanted
}

fn command(repo: &str, words: &[&str]) -> Code {
    let mut wanted = entry(repo, ".");
    wanted.command = words.iter().map(|&word| word.to_owned()).collect();
    wanted
}

/// What is wrong with each, and what the refusal says of it.
fn wrong(repo: &str) -> Vec<(Code, [&'static str; 2])> {
    let mut inside = command(repo, &["./run"]);
    inside.path = RelPath::new("sub").unwrap();
    vec![
        (
            entry(repo, "windows.sh"),
            [
                "code.entry \"windows.sh\" has the line ends of Windows",
                "save the file with LF",
            ],
        ),
        (
            entry(repo, "large.py"),
            ["code.entry \"large.py\" has 100 MiB", "belongs to `inputs`"],
        ),
        (
            command(repo, &["./plain", "x"]),
            ["code.command \"plain\" is not executable", "--chmod=+x plain"],
        ),
        (
            command(repo, &["./crlf"]),
            [
                "code.command \"crlf\" has the line ends of Windows",
                "save the file with LF",
            ],
        ),
        (
            command(repo, &["./zero"]),
            ["code.command \"zero\" is empty", "in commit"],
        ),
        (
            command(repo, &["./sub"]),
            ["code.command \"sub\" is a folder", "sub/run"],
        ),
        (
            command(repo, &["./out"]),
            ["code.command \"out\"", "leads out of the repository"],
        ),
        (
            inside,
            ["code.command \"sub/run\" is not executable", "--chmod=+x sub/run"],
        ),
    ]
}

fn right(repo: &str) -> Vec<Code> {
    let mut built = command(repo, &["./plain"]);
    built.build = vec!["make".to_owned()];
    vec![
        entry(repo, "good.sh"),
        entry(repo, "large.jar"),
        command(repo, &["./run"]),
        command(repo, &["sort", "plain"]),
        // Made on the node, for all that is known here.
        command(repo, &["./none"]),
        built,
    ]
}

async fn judged(repo: &str) {
    for (wanted, says) in wrong(repo) {
        let (_scratch, source) = resolve(&wanted, Path::new("/"), false).await;
        let Err(error) = source else {
            panic!("taken, where it is to say {says:?}")
        };
        let error = error.to_string();
        for text in says {
            assert!(error.contains(text), "{text:?} is not in: {error}");
        }
        assert!(!error.contains('\n'), "more than a sentence: {error}");
    }
    for wanted in right(repo) {
        let (_scratch, source) = resolve(&wanted, Path::new("/"), false).await;
        source.unwrap_or_else(|error| panic!("{}: {error}", wanted.what()));
    }
}

#[tokio::test]
async fn in_a_folder() {
    let repo = repo();
    judged(&repo.path().display().to_string()).await;
}

#[tokio::test]
async fn on_a_server() {
    let repo = repo();
    let root = repo.path().parent().unwrap().to_owned();
    let name = repo.path().file_name().unwrap().to_str().unwrap().to_owned();
    let server = GitServer::start(root, Manner::Serves).await;
    judged(&server.url(&name)).await;
}

/// A tree of a few bytes that stands for 10,000,000,000 files: nobody waits for their names to say what there is instead.
#[tokio::test]
async fn a_missing_entry_among_more_files_than_can_be_named() {
    let repo = Repo::empty();
    let script = "b=$(echo x | git hash-object -w --stdin); t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\t%s\\n' $b $n; done | git mktree); \
                  for l in 1 2 3 4 5 6 7 8 9; do t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\t%s\\n' $t $n; done | git mktree); done; \
                  git update-ref refs/heads/main $(git commit-tree -m bomb $t)";
    git(repo.path(), &["-c", &format!("alias.bomb=!{script}"), "bomb"]);
    let root = repo.path().parent().unwrap().to_owned();
    let name = repo.path().file_name().unwrap().to_str().unwrap().to_owned();
    let server = GitServer::start(root, Manner::Serves).await;
    let wanted = code(&server.url(&name), None, "main.py");
    // Git would be at it for hours.
    let answer = tokio::time::timeout(Duration::from_secs(60), resolve(&wanted, Path::new("/"), false)).await;
    let (_scratch, source) = answer.expect("an answer");
    let error = source.unwrap_err().to_string();
    assert!(error.contains("code.entry \"main.py\" does not exist"), "{error}");
}

/// Nobody reads a job file because it lies in the repository that is launched; who launches it has it checked as any other.
#[tokio::test]
async fn a_job_file_in_a_repository_counts_only_where_it_is_launched() {
    let repo = Repo::new();
    let bad = [
        ("loop.yml", "a: &a [*a]\n", "anchors"),
        ("tag.yml", "!!python/object:os.system a: 1\n", "tag"),
        (
            "run.yml",
            "a:\n  run: other-abcdefgh\n  code: {entry: main.py}\n",
            "unknown key `run`",
        ),
        (
            "role.yml",
            "a:\n  role: arn:aws:iam::1:role/x\n  code: {entry: main.py}\n",
            "unknown key `role`",
        ),
        (
            "as.yml",
            "a:\n  env: {MAYFLY_RUN: other-abcdefgh}\n  code: {entry: main.py}\n",
            "MAYFLY_RUN",
        ),
        (
            "keep.yml",
            "a:\n  results: s3://../x\n  code: {entry: main.py}\n",
            "has the bucket `..`",
        ),
    ];
    for (name, text, _) in bad {
        repo.write(name, text);
        repo.write(&format!("configs/jobs/{name}"), text);
    }
    let commit = repo.commit("job files");
    let wanted = code(&repo.path().display().to_string(), None, "main.py");
    let (_scratch, source) = resolve(&wanted, Path::new("/"), false).await;
    assert_eq!(source.unwrap().commit, commit);
    for (name, _, says) in bad {
        let output = run(repo.path(), &["launch", name]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name}: {text}");
        assert!(
            text.contains(name) && text.contains(says),
            "{says:?} is not in: {text}"
        );
    }
    assert!(!repo.path().join(".mayfly").exists(), "something was made");
}
