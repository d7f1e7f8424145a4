//! Pictures of the pages of real runs, light, dark and on a phone, for people to look at: `make test-long` leaves them in
//! `target/tmp/pictures`, and those of the README are four of them.

use std::fs;
use std::path::{Path, PathBuf};

use mayfly_tests::wait::secs;
use mayfly_tests::{Browser, Home, Job, Repo, Serve, slots};
use serde_json::json;

use crate::examples::put_flights;

/// Name, width and height of a window, and whether it is dark.
const LOOKS: [(&str, u32, u32, bool); 3] = [
    ("light", 1280, 900, false),
    ("dark", 1280, 900, true),
    ("phone", 390, 844, true),
];

/// A job that says what it finds, for as long as it is looked at.
const SEASONS: &str = r#"
from pyspark.sql import SparkSession
from pyspark.sql.functions import desc

spark = SparkSession.builder.getOrCreate()
print("late departures by month, on", spark.sparkContext.defaultParallelism, "cores", flush=True)
for year in range(1990, 2100):
    flights = spark.range(0, 2_000_000, 1, 8).selectExpr("id % 12 + 1 as month", f"pmod(hash(id, {year}), 97) - 40 as delay")
    late = flights.where("delay > 15").groupBy("month").count().orderBy(desc("count"), "month").first()
    print(f"{year}  {late['count']:,} of them in month {late['month']}", flush=True)
"#;

struct Album {
    browser: Browser,
    folder: PathBuf,
}

impl Album {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        fs::create_dir_all(&folder).unwrap();
        Self {
            browser: Browser::start(),
            folder,
        }
    }

    /// The page of now in every look; no page is wider than its window.
    fn take(&self, name: &str) {
        for (look, width, height, dark) in LOOKS {
            self.browser.look(width, height, dark);
            let wide = self.browser.eval("document.documentElement.scrollWidth");
            assert!(
                wide.as_u64() <= Some(width.into()),
                "{name} in {look}: {wide} wide"
            );
            let picture = self.browser.picture(true);
            fs::write(self.folder.join(format!("{name}-{look}.png")), picture).unwrap();
        }
    }
}

#[test]
#[ignore = "for people to look at; `make test-long`"]
fn pages_of_real_runs() {
    let _slot = slots::take();
    let (home, examples, jobs) = (Home::new(), Repo::of_examples(), Repo::of_jobs());
    put_flights(&home, &examples);
    let serve = Serve::start(&home);
    let of_examples = |job: &str| {
        let mut command = serve.command(&home, &["launch", job]);
        home.start(command.current_dir(examples.path()))
    };
    of_examples("word-count").wait(secs(600)).exited(0);
    of_examples("flights").wait(secs(600)).exited(0);
    let failing = Job::at_gate("churn", &home, &jobs, "ways.py")
        .args(&["raise"])
        .set("limits.retries", 0);
    serve.launch(&home, &failing, &[]).wait(secs(600)).exited(1);
    let album = Album::new();
    let browser = &album.browser;
    let page = |run: &str| format!("{}/runs/{run}", serve.url);
    let id = |job: &str| {
        let found = home.runs().into_iter().find(|run| run.job() == job);
        found.map(|run| run.to_string())
    };
    browser.go(&serve.url);
    album.take("login");
    browser.type_into("#token", &serve.token);
    browser.click("button[type=submit]");
    browser.shows("job failed", secs(20));

    let own = Repo::of(&[("seasons.py", SEASONS)]);
    let job = Job::new("seasons", &own.url(), "seasons.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = launch.until("the run", secs(60), || id("seasons"));
    browser.go(&page(&run));
    browser.shows("forming", secs(60));
    album.take("forming");
    browser.until(
        "some output",
        secs(300),
        "document.querySelectorAll('#log .l').length > 8",
    );
    album.take("working");
    browser.go(&serve.url);
    album.take("list");
    serve.command(&home, &["cancel", &run]).status().unwrap();
    launch.wait(secs(60)).exited(130);
    browser.go(&page(&run));
    browser.shows("Nothing is left.", secs(60));
    album.take("cancelled");

    let run = id("flights").unwrap();
    browser.go(&page(&run));
    browser.shows("Nothing is left.", secs(60));
    let loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 0)";
    let _scrolled = browser.eval("(scrollTo(0, document.body.scrollHeight), 1)");
    browser.until("the images", secs(20), loaded);
    let _back = browser.eval("(scrollTo(0, 0), 1)");
    album.take("closed");
    browser.go(&page(&id("churn").unwrap()));
    browser.shows("the month Foo does not exist", secs(20));
    album.take("failed");
    for (name, below) in [("log", "log"), ("found", "log?q=airline"), ("results", "results")] {
        browser.go(&format!("{}/{below}", page(&run)));
        album.take(name);
    }
    let files = home.run(&run.parse().unwrap()).commit().expect("a commit").files;
    for kind in ["csv", "parquet", "png"] {
        if let Some(file) = files.iter().find(|file| file.path.ends_with(kind)) {
            let address = format!("{}/result?path=", page(&run));
            browser.go(&address);
            let path = json!(file.path);
            let _gone = browser.eval(&format!(
                "(location.search = '?path=' + encodeURIComponent({path}), 1)"
            ));
            browser.shows("SHA-256", secs(20));
            album.take(kind);
        }
    }
    serve.stop().exited(0);
}
