//! A block of the older system's `spark.yml` runs to its results; only its repository is another one.

use std::fs;
use std::path::Path;

use mayfly_tests::wait::secs;
use mayfly_tests::{GitServer, Home, Repo, slots};

const SPARK: &str = include_str!("../../configs/tests/data/origin/spark.yml");
const ITS_REPO: &str = "https://github.com/markokole/ds-code-for-ias.git";

/// The older file, whole, with another repository in it.
pub(crate) fn with_repo(url: &str) -> String {
    SPARK.replace(ITS_REPO, url)
}

/// All rows of the predictions: species as number, as it is and as predicted.
fn predictions(results: &Path) -> Vec<(String, String)> {
    let parts = fs::read_dir(results.join("predictions")).unwrap().flatten();
    let texts = parts
        .filter(|part| part.file_name().to_string_lossy().ends_with(".csv"))
        .map(|part| fs::read_to_string(part.path()).unwrap());
    let rows = texts.flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    rows.map(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        (cells[1].to_owned(), cells[2].to_owned())
    })
    .collect()
}

/// The predictions are there and most of them are right.
pub(crate) fn assert_right(results: &Path) {
    assert!(results.join("predictions/_SUCCESS").exists());
    let rows = predictions(results);
    let right = rows
        .iter()
        .filter(|(label, predicted)| label == predicted)
        .count();
    assert!(
        rows.len() > 30 && right * 10 > rows.len() * 8,
        "{right} of {} are right",
        rows.len()
    );
}

#[test]
fn the_block_log_reg_iris_runs_as_it_is() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_older());
    let server = GitServer::start(repo.path().parent().unwrap());
    let url = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    let file = home.scratch("spark.yml");
    fs::write(&file, with_repo(&url)).unwrap();

    let mut command = home.command(&["launch", "spark.yml", "log-reg-iris"]);
    let ended = home.start(&mut command).wait(secs(300));
    ended
        .exited(0)
        .said("warning: spark.yml:22")
        .said("Spark 3.0.0-preview")
        .said("nothing is left");

    let [id] = &home.runs()[..] else {
        panic!("one run, not {:?}", home.runs())
    };
    let run = home.run(id);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(receipt["commit"], repo.head());
    assert_eq!(
        receipt["release"]["machines_started"], 2,
        "a master and its `no_workers: 1`"
    );
    assert_right(&run.results(1));
    assert!(run.output(&[]).contains("accuracy"), "{}", run.output(&[]));
}
