//! `--dirty`: the uncommitted work is what runs, and nothing of the user's is touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use mayfly_tests::programs::must;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};

/// Runs Git as it looks at things without writing.
fn git(repo: &Repo, args: &[&str]) -> String {
    must(
        Command::new("git")
            .arg("--no-optional-locks")
            .args(args)
            .current_dir(repo.path()),
    )
}

/// Every file below a folder, with its bytes and mode; links with where they lead.
fn files(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if about.is_dir() {
                folders.push(path);
                found.insert(name, (about.permissions().mode(), Vec::new()));
                continue;
            }
            let bytes = if about.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(name, (about.permissions().mode(), bytes));
        }
    }
    found
}

/// Says what it was made of.
const ENTRY: &str = "import os\n\
    from pathlib import Path\n\
    import helper\n\
    here = Path(__file__).parent\n\
    print('helper', helper.WHAT)\n\
    for name in ['new.txt', 'staged.txt', 'deleted.txt', 'ignored.txt', 'deep/new.py']:\n\
    \x20   print(name, (here / name).read_text() if (here / name).exists() else 'is not there')\n\
    Path(os.environ['MAYFLY_RESULTS'], 'helper.txt').write_text(helper.WHAT)\n";

fn worked_on() -> Repo {
    let repo = Repo::of(&[
        ("main.py", "raise SystemExit('the committed one ran')\n"),
        ("helper.py", "WHAT = 'committed'\n"),
        ("staged.txt", "committed"),
        ("deleted.txt", "committed"),
        (".gitignore", "ignored.txt\n"),
    ]);
    let write = |name: &str, text: &str| fs::write(repo.path().join(name), text).unwrap();
    // Something in the stash, a branch and a tag: all of it is the user's.
    write("staged.txt", "stashed");
    let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    git(&repo, &[&who[..], &["stash", "--quiet"]].concat());
    git(&repo, &["branch", "other"]);
    git(&repo, &["tag", "v1"]);
    write("main.py", ENTRY);
    write("staged.txt", "staged");
    git(&repo, &["add", "staged.txt"]);
    write("staged.txt", "changed after it was staged");
    write("helper.py", "WHAT = 'uncommitted'\n");
    write("new.txt", "untracked");
    write("ignored.txt", "ignored");
    fs::create_dir(repo.path().join("deep")).unwrap();
    write("deep/new.py", "untracked, deep");
    fs::remove_file(repo.path().join("deleted.txt")).unwrap();
    repo
}

#[test]
fn what_is_uncommitted_and_untracked_runs_and_the_tree_the_index_and_the_refs_stay_as_they_are() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), worked_on());
    let looks = [
        &["status", "--porcelain=v2", "--branch", "--ignored"][..],
        &["stash", "list"],
        &["for-each-ref"],
        &["diff"],
        &["diff", "--cached"],
        &["count-objects", "-v"],
    ];
    let look = || looks.map(|args| git(&repo, args));
    let (seen, before) = (look(), files(repo.path()));
    assert!(
        seen[1].contains("stash@{0}") && before.contains_key(".git/index"),
        "{seen:#?}"
    );
    let job = Job::new("worked-on", &repo.url(), "main.py");
    let mut launch = home.launch_with(&job, &["--dirty"]);
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(120));
    ended.exited(0).said("nothing is left");
    for line in [
        "helper uncommitted",
        "new.txt untracked",
        "staged.txt changed after it was staged",
        "deleted.txt is not there",
        "ignored.txt is not there",
        "deep/new.py untracked, deep",
    ] {
        assert!(
            ended.stdout.lines().any(|said| said == line),
            "{line:?} is not in {}",
            ended.stdout
        );
    }
    let after = files(repo.path());
    let changed: Vec<&String> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    assert!(changed.is_empty(), "these files are others now: {changed:?}");
    assert_eq!(look(), seen);
    run.assert_closed("succeeded");
    let helper = fs::read_to_string(run.results(1).join("helper.txt")).unwrap();
    assert_eq!(helper, "uncommitted");
    let commit = run.record().unwrap()["commit"].as_str().unwrap().to_owned();
    assert!(
        commit.len() == 40 && commit != repo.head(),
        "the record names what ran: {commit}"
    );
}

#[test]
fn without_it_the_commit_runs_and_a_clean_folder_is_its_commit_with_it() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), worked_on());
    let job = Job::new("committed", &repo.url(), "main.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    let ended = launch.wait(secs(120));
    ended.exited(1).said("the committed one ran");
    // That something is left out is told before it begins.
    ended.said("--dirty");
    assert_eq!(run.record().unwrap()["commit"], repo.head());
    let clean = Repo::of(&[("main.py", "print('clean')\n")]);
    let job = Job::new("clean", &clean.url(), "main.py");
    let mut launch = home.launch_with(&job, &["--dirty"]);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(120)).exited(0);
    assert_eq!(run.record().unwrap()["commit"], clean.head());
}
