//! What a repository may hold, and what may become of it between the launch and the clone.

use super::*;

/// A tree with folders in each other, the innermost first: in each a submodule, and at the top the list of them all.
fn nested(repo: &Path, depth: usize, url: &str) -> String {
    let link = entry("160000", "sub", &"1".repeat(40));
    let mut tree = object(repo, "tree", &link);
    let mut path = "sub".to_owned();
    let mut modules = String::new();
    for level in 0..depth {
        modules.push_str(&format!(
            "[submodule \"m{level}\"]\n\tpath = {path}\n\turl = {url}/m{level}\n"
        ));
        path = format!("d/{path}");
        let folder = entry("40000", "d", &tree);
        let inside = if level + 1 == depth {
            let listed = object(repo, "blob", modules.as_bytes());
            [entry("100644", ".gitmodules", &listed), folder, link.clone()].concat()
        } else {
            [folder, link.clone()].concat()
        };
        tree = object(repo, "tree", &inside);
    }
    tree
}

#[tokio::test]
async fn a_thousand_nested_submodules_are_not_asked_for() {
    let (server, _, _) = serve();
    let repo = server.folder.path().join("repo");
    let asked = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    asked.set_nonblocking(true).unwrap();
    let url = format!("http://{}", asked.local_addr().unwrap());
    let commit = commit_of(&repo, "nested", &nested(&repo, 1_000, &url));
    let dest = server.folder.path().join("nested");
    get(&self::url(&server, "/repo/.git", &commit), &dest, &limits())
        .await
        .unwrap();
    let inner = dest.join("d/".repeat(1_000)).join("sub");
    assert_eq!(std::fs::read_dir(inner).unwrap().count(), 0);
    let waiting = asked.accept().map(|(_, who)| who);
    assert!(waiting.is_err(), "somebody asked for a submodule: {waiting:?}");
}

#[tokio::test]
async fn submodules_that_lead_out_of_the_clone_do_no_harm() {
    let (server, _, _) = serve();
    let repo = server.folder.path().join("repo");
    let link = entry("160000", "sub", &"1".repeat(40));
    for (n, path) in ["../../out", "/tmp/out", ".git/hooks", "-x"]
        .into_iter()
        .enumerate()
    {
        let text = format!("[submodule \"sub\"]\n\tpath = {path}\n\turl = ./x\n");
        let modules = object(&repo, "blob", text.as_bytes());
        let tree = [entry("100644", ".gitmodules", &modules), link.clone()].concat();
        let commit = commit_of(&repo, &format!("out-{n}"), &object(&repo, "tree", &tree));
        let dest = server.folder.path().join(format!("deep/{n}"));
        let got = get(&url(&server, "/repo/.git", &commit), &dest, &limits()).await;
        if let Err(error) = got {
            assert_eq!(error.kind, Kind::Job, "{path}: {error}");
        }
        assert!(!server.folder.path().join("out").exists(), "{path}");
        assert!(!dest.join(".git/hooks/HEAD").exists(), "{path}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (server, _, second) = serve();
    let dest = server.folder.path().join("moved");
    let error = get(&url(&server, "/moved/repo/.git", &second), &dest, &limits())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Job, "{error}");
    assert!(error.message.contains("cannot fetch"), "{error}");
    assert!(!dest.join("a.txt").exists());
}

#[tokio::test]
async fn a_history_that_is_rewritten_after_the_launch_is_told() {
    let (server, _, second) = serve();
    let repo = server.folder.path().join("repo");
    git(&repo, &["commit", "-q", "--amend", "-m", "rewritten"]);
    git(&repo, &["reflog", "expire", "--expire=now", "--all"]);
    git(&repo, &["gc", "-q", "--prune=now"]);
    let dest = server.folder.path().join("rewritten");
    let error = get(&url(&server, "/repo/.git", &second), &dest, &limits())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Job, "{error}");
    assert!(error.message.contains("its history was rewritten"), "{error}");
    assert!(error.message.contains(&second), "{error}");
}
