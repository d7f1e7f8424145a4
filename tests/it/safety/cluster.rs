//! A cluster as somebody sees it who reaches its nodes and knows nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use mayfly_tests::http::{self, Page, Request};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Launch, Run, programs};
use serde_json::Value;

use crate::transport::launch::node_json;

const MASTER: u16 = 7077;
const MASTER_PAGE: u16 = 8080;
const DRIVER_PAGE: u16 = 4040;
/// Of the strangers: no node's.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 251, 7, 1));

pub(super) struct Cluster {
    pub(super) master: IpAddr,
    worker: IpAddr,
    pub(super) app: String,
}

impl Cluster {
    pub(super) fn of(run: &Run<'_>, app: &str) -> Self {
        let address = |node| node_json(run, node)["address"].as_str().unwrap().parse().unwrap();
        Self {
            master: address("master-1"),
            worker: address("worker-1"),
            app: app.to_owned(),
        }
    }

    fn page(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.master, port)
    }

    /// What the Master knows.
    pub(super) fn shown(&self) -> Value {
        serde_json::from_str(&http::get(self.page(MASTER_PAGE), "/json/").body).unwrap()
    }

    /// Of each executor that is there.
    pub(super) fn cores_of_executors(&self) -> Vec<u64> {
        let path = format!("/api/v1/applications/{}/executors", self.app);
        let all: Value = serde_json::from_str(&http::get(self.page(DRIVER_PAGE), &path).body).unwrap();
        let all = all.as_array().unwrap().iter();
        let executors = all.filter(|one| one["id"] != "driver" && one["isActive"] == true);
        executors.map(|one| one["totalCores"].as_u64().unwrap()).collect()
    }

    /// Everything that the pages have a button for, where they have it: that it had no effect is seen by what goes on.
    pub(super) fn refuses_to_kill(&self) {
        let app = format!("id={}&terminate=true", self.app);
        let host = format!("host={}", self.worker);
        for (port, path, form) in [
            (MASTER_PAGE, "/app/kill/", app.as_str()),
            (MASTER_PAGE, "/driver/kill/", "id=driver-0&terminate=true"),
            (MASTER_PAGE, "/workers/kill/", host.as_str()),
            (DRIVER_PAGE, "/jobs/job/kill/", "id=0&terminate=true"),
            (DRIVER_PAGE, "/stages/stage/kill/", "id=0&terminate=true"),
        ] {
            let posted = self.ask("POST", port, path, form);
            assert!((400..500).contains(&posted.status), "POST {path}: {posted:?}");
            // A link will do where the page has one.
            drop(self.ask("GET", port, &format!("{path}?{form}"), ""));
        }
        for (port, path) in [
            (MASTER_PAGE, "/"),
            (DRIVER_PAGE, "/jobs/"),
            (DRIVER_PAGE, "/stages/"),
        ] {
            let page = http::get(self.page(port), path).body;
            assert!(!page.contains("/kill"), "{path} offers to kill");
        }
    }

    fn ask(&self, method: &str, port: u16, path: &str, body: &str) -> Page {
        let request = Request {
            method,
            body,
            headers: &[("Content-Type", "application/x-www-form-urlencoded")],
            ..Request::get(path)
        };
        let answer = request.send(self.page(port));
        answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// A Worker that has no secret, and an application with a wrong one.
    pub(super) fn refuses_strangers(&self, home: &Home) {
        let master = format!("spark://{}", self.page(MASTER));
        let own = ELSEWHERE.to_string();
        let folder = home.scratch("strangers");
        let worker = [
            "org.apache.spark.deploy.worker.Worker",
            "--host",
            &own,
            "--cores",
            "1",
        ];
        let worker = stranger(home, &worker, &["--work-dir", folder.to_str().unwrap(), &master]);
        let script = home.scratch("stranger.py");
        std::fs::write(&script, "from pyspark import SparkContext\nSparkContext()\n").unwrap();
        let submit = ["org.apache.spark.deploy.SparkSubmit", "--master", &master];
        let conf = ["spark.authenticate=true", "spark.authenticate.secret=a-guess"];
        let app = ["--conf", conf[0], "--conf", conf[1], script.to_str().unwrap()];
        let app = stranger(home, &submit, &app);
        for (who, launch, why) in [
            (
                "a Worker",
                &worker,
                "maybe your client does not have SASL enabled?",
            ),
            ("an application", &app, "javax.security.sasl.SaslException"),
        ] {
            wait::until(&format!("{who} to be refused"), secs(60), || {
                launch.stderr().contains(why).then_some(())
            });
        }
    }
}

/// A program of Spark that is none of the run's, at an address of its own.
fn stranger(home: &Home, class: &[&str], args: &[&str]) -> Launch {
    let toolchain = programs::toolchain();
    let path = |key: &str| PathBuf::from(toolchain[key].as_str().unwrap());
    let java_home = path("java").ancestors().nth(2).unwrap().to_owned();
    let folder = home.scratch("strangers");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(path("spark_home").join("bin/spark-class"));
    command
        .args(class)
        .args(args)
        .current_dir(&folder)
        .env("JAVA_HOME", java_home)
        .env("PYSPARK_PYTHON", path("python"))
        .env(
            "JAVA_TOOL_OPTIONS",
            format!("-Djava.io.tmpdir={}", folder.display()),
        )
        .env("SPARK_LOCAL_DIRS", &folder)
        .env("SPARK_LOCAL_IP", ELSEWHERE.to_string());
    home.start(&mut command)
}
