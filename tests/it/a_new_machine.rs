//! Spark, Java and Python are installed into a cache that is empty: one test for the whole story, since it is 500 MB. It takes
//! longest of all and begins first, by its name, beside all others.

mod fresh;

use std::fs;

use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, programs, slots};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use fresh::Fresh;

/// Says which Java runs it, and uses an executor.
const SUMS: &str = r#"
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
jvm = spark.sparkContext._jvm.System
print("JAVA", jvm.getProperty("java.version"), jvm.getProperty("java.home"))
print("SUM", spark.range(1000).selectExpr("sum(id)").first()[0])
"#;
/// What the progress of an installation says.
const SPARK: &str = "installing Spark";
const WAITS: &str = "another command installs; waiting for it";

fn launch(home: &Home, fresh: &Fresh, repo: &Repo, name: &str) -> Launch {
    let job = Job::new(name, &repo.url(), "sums.py").write(home);
    let mut command = fresh.command(&home.command(&["launch", job.to_str().unwrap()]));
    home.start(&mut command)
}

#[test]
fn an_empty_cache_is_filled_once_whatever_goes_wrong_on_the_way() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of(&[("sums.py", SUMS)]));
    let fresh = Fresh::new(&home);
    without_a_network(&home, &fresh, &repo);
    killed_in_the_middle(&home, &fresh, &repo);
    two_at_once(&home, &fresh, &repo);
    not_again(&fresh);
}

/// It ends with one sentence that says what to run, and nothing stays.
fn without_a_network(home: &Home, fresh: &Fresh, repo: &Repo) {
    let job = Job::new("offline", &repo.url(), "sums.py").write(home);
    let mut command = fresh.command(&home.command(&["launch", job.to_str().unwrap()]));
    fresh::cut_off(&mut command);
    let ended = home.start(&mut command).wait(secs(180));
    ended.exited(3).said("installing numpy");
    let last = ended.stderr.lines().last().unwrap();
    let agent = programs::path("agent");
    let again = format!("`{} toolchain --spark ", agent.display());
    for part in [
        "pip cannot install what Spark needs: ",
        "is this machine connected to the network?",
        &again,
    ] {
        assert!(
            last.contains(part),
            "{part:?} is not in the last line: {}",
            ended.stderr
        );
    }
    assert!(last.starts_with("error: pip cannot install"), "{last}");
    assert!(!ended.stderr.contains("backtrace"), "{}", ended.stderr);
    assert_eq!(fresh.names(), ["lock"], "something is left of it");
    home.assert_no_run();
}

/// The command says so; what is half there is not taken for whole by the next one.
fn killed_in_the_middle(home: &Home, fresh: &Fresh, repo: &Repo) {
    let mut first = launch(home, fresh, repo, "first");
    wait::until("the installation of Spark", secs(300), || {
        (first.stderr().contains(SPARK) && fresh.has_unfinished()).then_some(())
    });
    let installer = fresh.installer().expect("an `agent toolchain`");
    kill(Pid::from_raw(installer), Signal::SIGKILL).unwrap();
    let ended = first.wait(secs(30));
    ended
        .exited(3)
        .said("ended before all was installed")
        .said("the same command again");
    assert!(
        fresh.has_unfinished(),
        "nothing was half there: {:?}",
        fresh.names()
    );
    assert!(!fresh.has("toolchain-"), "{:?}", fresh.names());
    wait::until("pip to die with its parent", secs(30), || {
        fresh.users().is_empty().then_some(())
    });
}

/// One of them installs, the other one waits and uses it.
fn two_at_once(home: &Home, fresh: &Fresh, repo: &Repo) {
    let mut both = ["left", "right"].map(|name| launch(home, fresh, repo, name));
    let ended = both.each_mut().map(|launch| launch.wait(secs(600)));
    for ended in &ended {
        ended.exited(0);
        assert!(ended.stdout.contains("SUM 499500"), "{ended:#?}");
        if fresh.hides_java() {
            let java = fresh.cache().join("jdk-");
            assert!(
                ended.stdout.contains("JAVA 21.") && ended.stdout.contains(java.to_str().unwrap()),
                "{ended:#?}"
            );
        }
    }
    let told = |what: &str| ended.iter().filter(|ended| ended.stderr.contains(what)).count();
    assert_eq!((told(SPARK), told(WAITS)), (1, 1), "{ended:#?}");
    assert!(!fresh.has_unfinished(), "{:?}", fresh.names());
    for name in ["spark-", "toolchain-"] {
        assert!(fresh.has(name), "{name} is not in {:?}", fresh.names());
    }
}

/// What is there is found, and nothing said of it.
fn not_again(fresh: &Fresh) {
    let mut agent = std::process::Command::new(programs::path("agent"));
    agent.args(["toolchain", "--json"]);
    let said = programs::must(&mut fresh.command(&agent));
    assert_eq!(said.lines().count(), 1, "{said}");
    let note = fs::read_to_string(fresh.cache().join(fresh.named("toolchain-").unwrap())).unwrap();
    assert!(note.contains(fresh.cache().to_str().unwrap()), "{note}");
}
