//! Checkouts from a real Git server over HTTP (`git http-backend` behind a small CGI server) and from a bundle.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "git/content.rs"]
mod content;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mayfly_agent::git::{Limits, Source, checkout};
use mayfly_agent::prepare::{Kind, PrepareError};

const SERVER: &str = r#"
import http.server, os, subprocess, sys, urllib.parse
root = sys.argv[1]
failures = {"left": 2}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def log_message(self, *_): pass
    def do_GET(self): self.serve()
    def do_POST(self): self.serve()
    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        path = url.path
        if path.startswith("/flaky/"):
            path = path[6:]
            if failures["left"] > 0:
                failures["left"] -= 1
                return self.send_error(503)
        if path.startswith("/corrupt/"):
            path = path[8:]
        if path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", "/" + path[7:] + "?" + url.query)
            return self.end_headers()
        if path.startswith("/gone/"):
            return self.send_error(503)
        if path.startswith("/stall/"):
            import time
            time.sleep(30)
            return
        env = dict(os.environ, GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=url.query,
                   REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("Content-Type", ""),
                   GIT_PROTOCOL=self.headers.get("Git-Protocol", ""), REMOTE_ADDR="127.0.0.1")
        if self.headers.get("Content-Encoding"):
            env["HTTP_CONTENT_ENCODING"] = self.headers["Content-Encoding"]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], env=env, input=body, stdout=subprocess.PIPE)
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode().split("\r\n"):
            key, _, value = line.partition(": ")
            if key == "Status": status = int(value.split()[0])
            elif key: headers.append((key, value))
        self.send_response(status)
        for key, value in headers: self.send_header(key, value)
        self.end_headers()
        if url.path.startswith("/corrupt/") and self.command == "POST" and b"PACK" in data:
            middle = (data.index(b"PACK") + len(data)) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        self.wfile.write(data)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

struct Server {
    child: Child,
    folder: tempfile::TempDir,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A repository of two commits, served; returns the ids, oldest first.
fn serve() -> (Server, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q"]);
    std::fs::write(repo.join("a.txt"), "one").unwrap();
    std::fs::write(repo.join(".gitattributes"), "*.big filter=lfs\n").unwrap();
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-qm", "one"]);
    let first = git(&repo, &["rev-parse", "HEAD"]);
    std::fs::write(repo.join("a.txt"), "two").unwrap();
    std::fs::write(repo.join("x.big"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-qm", "two"]);
    let second = git(&repo, &["rev-parse", "HEAD"]);
    let mut child = Command::new("python3")
        .args(["-c", SERVER])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let url = format!("http://127.0.0.1:{}", port.trim());
    (Server { child, folder, url }, first, second)
}

fn limits() -> Limits {
    Limits {
        pause: Duration::from_millis(10),
        total: Duration::from_secs(60),
        ..Limits::default()
    }
}

async fn get(source: &Source, dest: &Path, limits: &Limits) -> Result<(), PrepareError> {
    checkout(
        source,
        dest,
        limits,
        &PathBuf::from(env!("CARGO_BIN_EXE_agent")).into(),
    )
    .await
}

fn url(server: &Server, path: &str, commit: &str) -> Source {
    Source::Url {
        url: format!("{}{path}", server.url),
        commit: commit.into(),
    }
}

#[tokio::test]
async fn one_commit_is_fetched_and_nothing_else() {
    let (server, first, second) = serve();
    for (n, commit, text) in [(1, &second, "two"), (2, &first, "one")] {
        let dest = server.folder.path().join(format!("clone-{n}"));
        get(&url(&server, "/repo/.git", commit), &dest, &limits())
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(dest.join("a.txt")).unwrap(), text);
        assert_eq!(git(&dest, &["rev-list", "--all", "HEAD", "--count"]), "1");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_and_one_that_does_not_is_told() {
    let (server, _, second) = serve();
    let dest = server.folder.path().join("flaky");
    get(&url(&server, "/flaky/repo/.git", &second), &dest, &limits())
        .await
        .unwrap();
    let error = get(
        &url(&server, "/gone/repo/.git", &second),
        &server.folder.path().join("gone"),
        &limits(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind, Kind::Infra);
    assert!(error.message.contains("503"), "{error}");
    let short = Limits {
        total: Duration::from_secs(1),
        ..limits()
    };
    let error = get(
        &url(&server, "/stall/repo/.git", &second),
        &server.folder.path().join("stall"),
        &short,
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind, Kind::Infra);
    assert!(error.message.contains("within 1 s"), "{error}");
}

#[tokio::test]
async fn what_does_not_exist_is_the_jobs_doing() {
    let (server, first, _) = serve();
    let nowhere = "0123456789012345678901234567890123456789";
    for (path, commit, says) in [
        ("/repo/.git", nowhere, "is not in"),
        ("/nothing/.git", first.as_str(), "not found"),
        ("/repo/.git", "main", "not a full commit id"),
        ("/repo/.git", "--upload-pack=touch /tmp/x", "not a full commit id"),
    ] {
        let dest = server.folder.path().join(format!("bad-{}", commit.len()));
        let error = get(&url(&server, path, commit), &dest, &limits())
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Job, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_refused() {
    let (server, _, _) = serve();
    let repo = server.folder.path().join("repo");
    std::fs::write(repo.join("big"), vec![7_u8; 60_000_000]).unwrap();
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-qm", "big"]);
    let commit = git(&repo, &["rev-parse", "HEAD"]);
    let small = Limits {
        bytes: 1 << 20,
        ..limits()
    };
    let error = get(
        &url(&server, "/repo/.git", &commit),
        &server.folder.path().join("big"),
        &small,
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind, Kind::Job);
    assert!(error.message.contains("larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn a_bundle_is_checked_out_and_hooks_do_not_run() {
    let (server, first, second) = serve();
    let repo = server.folder.path().join("repo");
    let file = server.folder.path().join("code.bundle");
    git(
        &repo,
        &["bundle", "create", "-q", file.to_str().unwrap(), "HEAD", "main"],
    );
    let dest = server.folder.path().join("from-bundle");
    get(
        &Source::Bundle {
            file: file.clone(),
            commit: second,
        },
        &dest,
        &limits(),
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read_to_string(dest.join("a.txt")).unwrap(), "two");
    assert_eq!(
        std::fs::read_dir(dest.join(".git/hooks")).map_or(0, Iterator::count),
        0
    );
    let other = first.replace(['0', '1', '2'], "3");
    let dest = server.folder.path().join("other");
    let error = get(&Source::Bundle { file, commit: other }, &dest, &limits())
        .await
        .unwrap_err();
    assert!(error.message.contains("is not in"), "{error}");
}

/// An object of any content, whatever Git thinks of it; returns its id.
fn object(repo: &Path, kind: &str, content: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .args(["hash-object", "-w", "--literally", "--stdin", "-t", kind])
        .current_dir(repo)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let out = child.wait_with_output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// One entry of a tree: mode, name, id.
fn entry(mode: &str, name: &str, id: &str) -> Vec<u8> {
    let id = (0..id.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap());
    [format!("{mode} {name}\0").as_bytes(), &id.collect::<Vec<_>>()].concat()
}

/// A commit of this tree, on a branch of its own so that it is served.
fn commit_of(repo: &Path, branch: &str, tree: &str) -> String {
    let text = format!("tree {tree}\nauthor n <e@x> 1 +0000\ncommitter n <e@x> 1 +0000\n\nodd\n");
    let commit = object(repo, "commit", text.as_bytes());
    git(repo, &["update-ref", &format!("refs/heads/{branch}"), &commit]);
    commit
}

#[tokio::test]
async fn a_tree_that_stands_for_more_files_than_it_has_is_refused() {
    let (server, _, _) = serve();
    let repo = server.folder.path().join("repo");
    let mut id = object(&repo, "blob", b"x");
    for level in 0..5 {
        let mode = if level == 0 { "100644" } else { "40000" };
        let tree: Vec<u8> = (0..10).flat_map(|n| entry(mode, &n.to_string(), &id)).collect();
        id = object(&repo, "tree", &tree);
    }
    let commit = commit_of(&repo, "bomb", &id);
    let small = Limits {
        entries: 5_000,
        ..limits()
    };
    let dest = server.folder.path().join("bomb");
    let error = get(&url(&server, "/repo/.git", &commit), &dest, &small)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Job);
    assert!(
        error.message.contains("more than 5000 files and folders"),
        "{error}"
    );
    assert_eq!(
        std::fs::read_dir(&dest).unwrap().count(),
        1,
        "something was checked out"
    );
}

#[tokio::test]
async fn repositories_that_mean_harm_are_refused_or_do_none() {
    let (server, _, _) = serve();
    let repo = server.folder.path().join("repo");
    let marker = server.folder.path().join("marker");
    let file = object(&repo, "blob", b"x");
    let folder = object(&repo, "tree", &entry("100644", "config", &file));
    let modules = |text: &str| {
        let text = text.replace("MARKER", marker.to_str().unwrap());
        let modules = object(&repo, "blob", text.as_bytes());
        let link = entry("160000", "sub", &"1".repeat(40));
        object(
            &repo,
            "tree",
            &[entry("100644", ".gitmodules", &modules), link].concat(),
        )
    };
    for (name, tree) in [
        ("dotgit", object(&repo, "tree", &entry("40000", ".git", &folder))),
        ("dotdot", object(&repo, "tree", &entry("40000", "..", &folder))),
        (
            "slash",
            object(&repo, "tree", &entry("100644", "../../marker", &file)),
        ),
        (
            "twice",
            object(
                &repo,
                "tree",
                &[entry("100644", "a", &file), entry("100644", "a", &file)].concat(),
            ),
        ),
        (
            "update",
            modules("[submodule \"sub\"]\n\tpath = sub\n\turl = ./x\n\tupdate = !touch MARKER\n"),
        ),
        (
            "url",
            modules("[submodule \"sub\"]\n\tpath = sub\n\turl = -u./payload\n"),
        ),
        (
            "name",
            modules("[submodule \"../../x\"]\n\tpath = sub\n\turl = ./x\n"),
        ),
    ] {
        let commit = commit_of(&repo, name, &tree);
        let dest = server.folder.path().join(format!("{name}-clone"));
        let error = get(&url(&server, "/repo/.git", &commit), &dest, &limits())
            .await
            .expect_err(name);
        assert_eq!(error.kind, Kind::Job, "{name}: {error}");
        assert!(error.message.contains("git says"), "{name}: {error}");
        assert!(!marker.exists(), "{name}: it ran a command");
    }
    // A submodule that is none of our business stays an empty folder.
    let plain = modules("[submodule \"sub\"]\n\tpath = sub\n\turl = http://127.0.0.1:1/x\n");
    let commit = commit_of(&repo, "plain", &plain);
    let dest = server.folder.path().join("plain-clone");
    get(&url(&server, "/repo/.git", &commit), &dest, &limits())
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(dest.join("sub")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_pack_that_was_damaged_on_its_way_is_not_taken() {
    let (server, first, _) = serve();
    let dest = server.folder.path().join("damaged");
    let error = get(&url(&server, "/corrupt/repo/.git", &first), &dest, &limits())
        .await
        .unwrap_err();
    assert!(error.message.contains("cannot fetch"), "{error}");
    assert!(!dest.join("a.txt").exists());
}
