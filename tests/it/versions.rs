//! Another Spark, or another Python, than what a machine has by itself.

use std::path::PathBuf;
use std::process::Command;

use mayfly_tests::programs::must;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, Run, programs, slots};
use serde_json::json;

/// What the driver runs with, and what the executors do; both import what the repository depends on.
const TELLS: &str = r#"
import sys
import pandas
import churn, tomli_w
from pyspark.sql import SparkSession, functions as f

def mine():
    import sys, churn, tomli_w
    return f"{sys.version_info[0]}.{sys.version_info[1]} {churn.RATE}"

spark = SparkSession.builder.getOrCreate()

@f.pandas_udf("long")
def twice(column: pandas.Series) -> pandas.Series:
    return column * 2

print("DRIVER", spark.version, mine())
print("EXECUTORS", sorted(set(spark.sparkContext.parallelize(range(20), 4).map(lambda _: mine()).collect())))
print("SUM", spark.range(100).select(twice("id").alias("x")).agg({"x": "sum"}).first()[0])
"#;
const PROJECT: &str = "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n\
                       [project]\nname = \"churn\"\nversion = \"1.0\"\ndependencies = [\"tomli_w\"]\n\
                       [tool.setuptools]\npy-modules = [\"churn\"]\n";

fn repo() -> Repo {
    Repo::of(&[
        ("tells.py", TELLS),
        ("churn.py", "RATE = 0.25\n"),
        ("pyproject.toml", PROJECT),
    ])
}

fn succeeded<'h>(home: &'h Home, job: &Job) -> Run<'h> {
    home.launch(job).wait(secs(600)).exited(0);
    let id = home.runs().into_iter().find(|run| run.job() == job.name());
    let run = home.run(&id.expect("a run of the job"));
    run.assert_closed("succeeded");
    run
}

/// The minor version of the machine's own Python, and another interpreter of this machine that Spark runs with.
fn another_python() -> Option<(String, PathBuf)> {
    let version = |python: &PathBuf| {
        let asked = Command::new(python)
            .args(["-c", "import sys, venv, ensurepip; print(sys.version_info[1])"])
            .output();
        let said = asked.ok().filter(|done| done.status.success())?.stdout;
        String::from_utf8(said).ok()?.trim().parse::<u32>().ok()
    };
    let own = version(&programs::python());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let managed = std::fs::read_dir(home.join(".pyenv/versions"));
    let managed = managed
        .into_iter()
        .flatten()
        .flatten()
        .map(|one| one.path().join("bin"));
    let folders = std::env::split_paths(&path).chain(managed);
    let names = (10..=13)
        .map(|minor| format!("python3.{minor}"))
        .collect::<Vec<_>>();
    folders
        .flat_map(|folder| {
            names
                .iter()
                .map(move |name| folder.join(name))
                .collect::<Vec<_>>()
        })
        .find_map(|python| {
            let minor = version(&python).filter(|minor| Some(*minor) != own)?;
            (10..=13).contains(&minor).then(|| (format!("3.{minor}"), python))
        })
}

#[test]
#[ignore = "installs numpy and its like for another Python; `make test-long`"]
fn another_python_drives_the_job_and_its_executors() {
    let Some((version, python)) = another_python() else {
        eprintln!("this machine has one Python that Spark runs with: another one is not tried");
        return;
    };
    let _slot = slots::take();
    let (mut home, repo) = (Home::new(), repo());
    let said = format!("{version} 0.25");
    let path = [
        python.parent().unwrap().to_str().unwrap(),
        &std::env::var("PATH").unwrap(),
    ]
    .join(":");
    home.set_environment(&[("PATH", &path)]);
    for (name, named) in [("version", version.as_str()), ("path", python.to_str().unwrap())] {
        let job = Job::new(name, &repo.url(), "tells.py")
            .set("code.python", named)
            .set("code.requirements", "pyproject.toml")
            .set("limits.form", "9m");
        let run = succeeded(&home, &job);
        let output = run.output(&[]);
        for line in [
            format!("DRIVER 4.0.5 {said}"),
            format!("EXECUTORS ['{said}']"),
            "SUM 9900".to_owned(),
        ] {
            assert!(output.contains(&line), "no {line:?} in {output}");
        }
        assert!(run.receipt()["nodes"].as_array().unwrap().len() > 1);
    }
}

#[test]
fn a_python_that_is_not_there_fails_the_job_before_it_starts() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of(&[("main.py", "print('it runs')\n")]));
    let job = Job::new("none", &repo.url(), "main.py")
        .set("engine", "single")
        .set("code.python", "/nowhere/bin/python3.12")
        .without("workers");
    let ended = home.launch(&job).wait(secs(120));
    ended
        .exited(1)
        .said("this machine has no Python /nowhere/bin/python3.12, which the job names (code.python)")
        .said("name one that it has: 3.1");
    let run = home.run(&home.runs()[0]);
    let receipt = run.assert_closed("job-failed");
    assert_eq!(receipt["why"]["cause"], "python-missing", "{receipt:#}");
    assert_eq!(receipt["attempts"], 1, "the job's own doing is not repeated");
    assert!(!run.output(&[]).contains("it runs"));
}

/// Of Python, of SQL, and of a JAR that is built for its Scala and finds a class in another JAR of the repository.
#[test]
#[ignore = "installs another Spark; `make test-long`"]
fn an_older_spark_runs_every_kind_of_job() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), jars());
    let jobs = [
        Job::new("tells", &repo.url(), "tells.py"),
        Job::new("sums", &repo.url(), "sums.sql").args(&["least=90"]),
        jar(&repo),
    ];
    for (job, said) in jobs.into_iter().zip([
        ["SPARK 3.5.9", "SUM 9900"],
        ["-- sums", "945"],
        ["HALVES 2500", ""],
    ]) {
        let job = job.set("spark.version", "3.5.9").set("limits.form", "9m");
        let run = succeeded(&home, &job);
        let receipt = run.receipt();
        let output = run.output(&[]);
        for part in said {
            assert!(output.contains(part), "no {part:?} in {output}");
        }
        // Its event log is read as well.
        assert!(
            receipt["account"]["spark"]["tasks"].as_u64() > Some(0),
            "{receipt:#}"
        );
    }
}

#[test]
#[ignore = "compiles Scala; `make test-long`"]
fn a_jar_finds_its_classes_in_another_one_of_its_repository() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), jars());
    let run = succeeded(&home, &jar(&repo));
    assert!(run.output(&[]).contains("HALVES 2500"), "{}", run.output(&[]));
}

/// Compiles each Scala file into a JAR of its own, the later ones against those before.
const BUILD: &str = r#"set -eu
for name in Halves Sums; do
    mkdir $name
    "$JAVA_HOME/bin/java" -cp "$SPARK_HOME/jars/*" scala.tools.nsc.Main -cp "$SPARK_HOME/jars/*:Halves.jar" -d $name $name.scala
    python3 -c "import shutil; shutil.make_archive('$name', 'zip', '$name')"
    mv $name.zip $name.jar
done
"#;
const HALVES: &str = "package lib\nobject Halves { def of(number: Long): Long = number / 2 }\n";
/// On executors, too.
const SUMS: &str = r#"import org.apache.spark.sql.SparkSession
object Sums {
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    val halves = spark.sparkContext.parallelize(0L until 102L, 4).map(lib.Halves.of).collect()
    println("HALVES " + (halves.sum - lib.Halves.of(100)))
    spark.stop()
  }
}
"#;
const TELLS_OLD: &str = r#"
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.getOrCreate()
print("SPARK", spark.version)
print("SUM", spark.range(100).select(f.udf(lambda x: x * 2, "long")("id").alias("x")).agg({"x": "sum"}).first()[0])
print("ROWS", len(spark.range(100).toPandas()))
"#;

fn jars() -> Repo {
    Repo::of(&[
        ("build.sh", BUILD),
        ("Halves.scala", HALVES),
        ("Sums.scala", SUMS),
        ("tells.py", TELLS_OLD),
        (
            "sums.sql",
            "-- name: sums\nSELECT sum(id) FROM range(100) WHERE id >= :least\n",
        ),
    ])
}

fn jar(repo: &Repo) -> Job {
    Job::new("halves", &repo.url(), "Sums.jar")
        .set("code.class", "Sums")
        .set("code.build", vec!["sh", "build.sh"])
        .set("spark.conf", json!({ "spark.jars": "Halves.jar" }))
}

/// The archives of Spark's classes fit its executors, whose class path Spark itself writes.
#[test]
#[ignore = "installs another Spark; `make test-long`"]
fn executors_of_an_older_spark_have_its_classes_from_the_archive_too() {
    let mut agent = Command::new(programs::path("agent"));
    let said = must(agent.args(["toolchain", "--json", "--spark", "3.5.9"]));
    assert!(said.contains("\"scala_version\":\"2.12\""), "{said}");
    let _slot = slots::take();
    let maps = "import os\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                def mapped(_):\n    daemon = int(open(f'/proc/{os.getppid()}/stat').read().rsplit(')', 1)[1].split()[1])\n    \
                return [any('all.jsa' in line for line in open(f'/proc/{daemon}/maps'))]\n\
                print('ARCHIVE', spark.sparkContext.parallelize([1], 1).mapPartitions(mapped).collect())\n";
    let (home, repo) = (Home::new(), Repo::of(&[("maps.py", maps)]));
    let job = Job::new("maps", &repo.url(), "maps.py").set("spark.version", "3.5.9");
    let run = succeeded(&home, &job.set("limits.form", "9m"));
    assert!(run.output(&[]).contains("ARCHIVE [True]"), "{}", run.output(&[]));
}
