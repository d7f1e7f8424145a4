//! Jobs that a team keeps in a real Consul.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Consul, Ended, GitServer, Home, Repo, slots, terminal};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

/// Two jobs whose code is nowhere; `workers` of the second.
fn jobs(workers: &str) -> String {
    let code = "code: {repo: https://localhost/none.git, entry: main.py}";
    format!("one:\n  {code} # why\ntwo:\n  {code}\n  workers: {{count: {workers}}}\n")
}

struct Team {
    consul: Consul,
    home: Home,
}

impl Team {
    fn new() -> Self {
        Self {
            consul: Consul::dev(),
            home: Home::new(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.scratch(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("CONSUL_HTTP_ADDR", self.consul.url());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.home.start(&mut self.command(args)).wait(secs(60))
    }

    /// The value of a key, asked of Consul itself.
    fn key(&self, name: &str) -> String {
        self.consul
            .http("GET", &format!("/v1/kv/mayfly/jobs/{name}?raw"), "")
    }

    fn set(&self, name: &str, text: &str) {
        self.consul
            .http("PUT", &format!("/v1/kv/mayfly/jobs/{name}"), text);
    }

    fn keys(&self) -> Vec<String> {
        let (all, none) = (self.consul.json("GET", "/v1/kv/?keys", &Value::Null), Vec::new());
        let keys = all.as_array().unwrap_or(&none).iter();
        keys.map(|key| key.as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn somebody_is_asked_and_a_no_changes_nothing() {
    let team = Team::new();
    team.write("jobs.yml", &jobs("2"));
    let push = team.command(&["config", "push", "jobs.yml"]);
    for answer in ["n", "", "yes please"] {
        let said = team
            .home
            .start(&mut terminal::answered(&push, "[y/N]", answer))
            .wait(secs(60));
        assert!(said.stdout.contains("entry: main.py"), "{}", said.stdout);
        assert!(
            said.exited(0).stdout.contains("nothing is written"),
            "{}",
            said.stdout
        );
        assert!(team.keys().is_empty(), "{answer:?}: {:?}", team.keys());
    }
    let said = team
        .home
        .start(&mut terminal::answered(&push, "[y/N]", "y"))
        .wait(secs(60));
    said.exited(0);
    assert_eq!(team.keys(), ["mayfly/jobs/one", "mayfly/jobs/two"]);
}

#[test]
fn jobs_go_in_and_come_out_again() {
    let team = Team::new();
    team.write("jobs.yml", &jobs("2"));
    let different = team.run(&["config", "diff", "jobs.yml"]);
    assert!(
        different.exited(1).stdout.contains("one (new): mayfly/jobs/one"),
        "{}",
        different.stdout
    );
    let unasked = team.run(&["config", "push", "jobs.yml"]);
    unasked.exited(2).said("no --yes");
    let changes = team
        .run(&["config", "diff", "jobs.yml", "--json"])
        .exited(1)
        .json()["changes"]
        .clone();
    assert_eq!(changes[1]["key"], "mayfly/jobs/two");
    assert_eq!(changes[1]["was"], Value::Null);
    assert!(
        changes[1]["text"].as_str().unwrap().contains("count: 2"),
        "{changes}"
    );
    let pushed = team.run(&["config", "push", "jobs.yml", "--yes"]);
    assert!(
        pushed.exited(0).stdout.contains("+     entry: main.py"),
        "{}",
        pushed.stdout
    );
    assert_eq!(team.keys(), ["mayfly/jobs/one", "mayfly/jobs/two"]);
    team.run(&["config", "diff", "jobs.yml"]).exited(0);
    team.run(&["config", "push", "jobs.yml"])
        .exited(0)
        .said("has these jobs already");

    // Another layout is no other job; another value is shown alone.
    team.write("jobs.yml", &format!("defaults: {{tags: {{}}}}\n{}", jobs("3")));
    let changed = team.run(&["config", "push", "jobs.yml", "--yes"]);
    assert!(
        changed
            .exited(0)
            .stdout
            .contains("-     count: 2\n+     count: 3\n"),
        "{}",
        changed.stdout
    );
    assert!(team.key("two").contains("count: 3"), "{}", team.key("two"));

    team.run(&["config", "pull", "-o", "pulled.yml"]).exited(0);
    let pulled = team.home.scratch("pulled.yml");
    team.run(&["config", "diff", "pulled.yml"]).exited(0);
    team.run(&["config", "pull", "-o", "pulled.yml"])
        .exited(2)
        .said("is there already");
    let told = team.run(&["config", "pull", "two", "--json"]).exited(0).json();
    assert_eq!(told["jobs"], serde_json::json!(["two"]));
    assert_eq!(told["text"], team.key("two"));
    team.write("jobs.yml", &format!("defaults: {{tags: {{}}}}\n{}", jobs("4")));
    let told = team
        .run(&["config", "push", "jobs.yml", "--yes", "--json"])
        .exited(0)
        .json();
    assert_eq!(told["changes"].as_array().unwrap().len(), 1, "{told}");
    assert!(
        told["changes"][0]["was"].as_str().unwrap().contains("count: 3"),
        "{told}"
    );
    assert!(team.key("two").contains("count: 4"), "{}", team.key("two"));
    team.write("jobs.yml", &format!("defaults: {{tags: {{}}}}\n{}", jobs("3")));
    team.run(&["config", "push", "jobs.yml", "--yes"]).exited(0);
    let one = team.run(&["config", "pull", "two"]);
    assert_eq!(one.exited(0).stdout, team.key("two"));
    assert!(fs::read_to_string(pulled).unwrap().ends_with(&team.key("two")));
    let listed = team.run(&["config", "list", "--json"]).json();
    assert_eq!(
        (&listed["jobs"][1]["name"], &listed["jobs"][1]["job"]["workers"]),
        (&"two".into(), &3.into())
    );
}

#[test]
fn nothing_is_written_when_one_job_is_wrong() {
    let team = Team::new();
    team.write(
        "good.yml",
        "good: {code: {repo: https://localhost/none.git, entry: main.py}}\n",
    );
    for (text, says) in [
        (
            "bad: {code: {repo: https://localhost/x.git, entry: main.py}, worker: {}}",
            "did you mean `workers`?",
        ),
        ("bad: {code: {entry: main.py}}", "a folder of this machine"),
        (
            "good: {code: {repo: https://localhost/x.git, entry: main.py}}",
            "both good.yml and bad.yml have a job",
        ),
        ("", "the file is empty"),
    ] {
        team.write("bad.yml", text);
        team.run(&["config", "push", "good.yml", "bad.yml", "--yes"])
            .exited(2)
            .said(says);
    }
    team.set("x", "not ours");
    assert_eq!(team.keys(), ["mayfly/jobs/x"]);
    let nowhere = team.home.verb(&["config", "push", "good.yml", "--yes"]);
    nowhere.exited(2).said("CONSUL_HTTP_ADDR");
}

#[test]
fn what_consul_holds_is_not_trusted() {
    let team = Team::new();
    let good = "repo: https://localhost/x.git, entry: main.py";
    team.set("good", &format!("good: {{code: {{{good}}}}}"));
    for (name, text, says) in [
        (
            "folder",
            "folder: {code: {repo: /etc, entry: main.py}}".to_owned(),
            "a folder of this machine",
        ),
        (
            "other",
            format!("good: {{code: {{{good}}}}}"),
            "not the job `other` alone",
        ),
        (
            "typo",
            format!("typo:\n  code: {{{good}}}\n  worker: {{}}\n"),
            "mayfly/jobs/typo:3:3",
        ),
        (
            "helper",
            "helper: {code: {repo: \"ext::sh -c id\", entry: a.py}}".to_owned(),
            "remote helpers",
        ),
        ("null", "null".to_owned(), "the file is empty"),
        ("empty", String::new(), "the file is empty"),
        ("page", "<html>sign in</html>".to_owned(), "not jobs"),
        ("nul", "a\0b".to_owned(), "(U+0000)"),
        (
            "large",
            format!("large: {{tags: {{x: \"{}\"}}}}", "x".repeat(500_000)),
            "characters long",
        ),
    ] {
        team.set(name, &text);
        for args in [
            &["launch", name, "--from", "consul"][..],
            &["config", "pull", name],
        ] {
            let ended = team.run(args);
            ended.exited(2).said(says).said(&format!("mayfly/jobs/{name}"));
            assert!(ended.stdout.is_empty(), "{args:?}: {}", ended.stdout);
        }
    }
    team.run(&["launch", "goood", "--from", "consul"])
        .exited(2)
        .said("did you mean \"good\"?");
    team.run(&["launch", "../x", "--from", "consul"])
        .exited(2)
        .said("the job name");
    team.run(&["launch", "--from", "consul"]).exited(2).said("good");
    team.run(&["config", "pull"]).exited(2);
    team.home.assert_no_run();
    let listed = team.run(&["config", "list"]);
    assert!(
        listed.exited(0).stdout.contains("cannot be used"),
        "{}",
        listed.stdout
    );
    let listed = team.run(&["config", "list", "--json"]).json();
    let wrong = |job: &&Value| !job["errors"].as_array().unwrap().is_empty();
    assert_eq!(
        listed["jobs"].as_array().unwrap().iter().filter(wrong).count(),
        9,
        "{listed:#}"
    );
}

#[test]
fn a_job_that_somebody_else_has_changed_is_not_written_over() {
    let team = Team::new();
    team.write("jobs.yml", &jobs("2"));
    team.run(&["config", "push", "jobs.yml", "--yes"]).exited(0);
    team.write("jobs.yml", &jobs("4"));
    // It has compared and asks; meanwhile the key changes. `script` gives it a terminal, as a person has one.
    let push = team.command(&["config", "push", "jobs.yml"]);
    let words: Vec<&str> = std::iter::once(push.get_program())
        .chain(push.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let typed = team.home.scratch("typed");
    mkfifo(&typed, Mode::S_IRWXU).unwrap();
    let mut terminal = Command::new("sh");
    terminal
        .args([
            "-c",
            "exec script -qec \"$0\" /dev/null < typed",
            &words.join(" "),
        ])
        .env("CONSUL_HTTP_ADDR", team.consul.url())
        .current_dir(typed.parent().unwrap());
    let mut push = team.home.start(&mut terminal);
    let mut keyboard = fs::File::options().write(true).open(&typed).unwrap();
    let output = team.home.scratch("command-1.out");
    push.until("the question", secs(30), || {
        fs::read_to_string(&output).ok()?.contains("[y/N]").then_some(())
    });
    let other = team.key("two").replace("count: 2", "count: 9");
    team.set("two", &other);
    keyboard.write_all(b"y\n").unwrap();
    let ended = push.wait(secs(30));
    assert!(
        ended.stdout.contains("somebody has changed mayfly/jobs/two"),
        "{}",
        ended.stdout
    );
    assert_eq!((ended.code, team.key("two")), (Some(3), other));
}

#[test]
fn more_jobs_than_consul_writes_at_once_go_in_parts_and_it_is_said() {
    let team = Team::new();
    let job = |n: usize| format!("j{n}: {{code: {{repo: https://localhost/x.git, entry: main.py}}}}\n");
    team.write("jobs.yml", &(0..70).map(job).collect::<String>());
    team.run(&["config", "push", "jobs.yml", "--yes"])
        .exited(0)
        .said("70 jobs are more than Consul writes at once: they go in 2 parts");
    assert_eq!(team.keys().len(), 70);
    team.run(&["config", "diff", "jobs.yml"]).exited(0);
}

#[test]
fn a_job_of_consul_runs_to_its_receipt() {
    let _slot = slots::take();
    let team = Team::new();
    let repo = Repo::of(&[("main.py", "import sys\nprint('greeting', sys.argv[1])\n")]);
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    let text = format!(
        "hello:\n  code: {{repo: \"{url}\", entry: main.py, args: [one]}}\n  workers: {{count: 1}}\n"
    );
    team.write("jobs.yml", &text);
    team.run(&["config", "push", "jobs.yml", "--yes"]).exited(0);
    let mut command = team.command(&["launch", "hello", "--from", "consul", "--set", "code.args=[two]"]);
    let ended = team.home.start(&mut command).wait(secs(200));
    ended
        .exited(0)
        .said("job      hello of Consul at")
        .said("nothing is left");
    let [id] = &team.home.runs()[..] else {
        panic!("one run, not {:?}", team.home.runs())
    };
    let run = team.home.run(id);
    run.assert_closed("succeeded");
    assert!(run.output(&[]).contains("greeting two"), "{}", run.output(&[]));
}
