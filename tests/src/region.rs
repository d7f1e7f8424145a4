//! A region of AWS with a network, an image, a bucket and a coordinator that launches there.

use std::path::Path;

use serde_json::{Value, json};

use crate::ec2::{Ec2, Image, Info};
use crate::wait::secs;
use crate::{Home, Job, Launch, Serve, clock};

/// The bucket that runs are kept in.
const BUCKET: &str = "mayfly-runs";
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A region; when it is dropped none of its machines is left.
#[derive(Debug)]
pub struct Region {
    /// The coordinator.
    pub serve: Serve,
    /// Whoever launches and looks.
    pub home: Home,
    /// AWS.
    pub ec2: Ec2,
    server: Home,
}

impl Region {
    /// One whose machines run the real agent. `settings` are those of the rig.
    ///
    /// # Panics
    /// Something of it cannot be made.
    #[must_use]
    pub fn start(settings: &Value) -> Self {
        Self::of(Image::agent(), settings)
    }

    /// One whose machines run `image`.
    ///
    /// # Panics
    /// As [`Region::start`].
    #[must_use]
    pub fn of(image: Image, settings: &Value) -> Self {
        Self::with(image, settings, |_, _| ())
    }

    /// The same, whose coordinator has other settings; `change` gets them, and whoever launches.
    ///
    /// # Panics
    /// As [`Region::start`].
    #[must_use]
    pub fn with(image: Image, settings: &Value, change: impl FnOnce(&mut Value, &Home)) -> Self {
        let ec2 = Ec2::start(image, settings);
        let url = ec2.url();
        Self::built(ec2, &url, "arm64", (&[], &[]), change)
    }

    /// One whose coordinator finds more in its environment, and has other settings as in [`Region::with`].
    ///
    /// # Panics
    /// As [`Region::start`].
    #[must_use]
    pub fn armed(
        image: Image,
        settings: &Value,
        more: &[(String, String)],
        change: impl FnOnce(&mut Value, &Home),
    ) -> Self {
        let ec2 = Ec2::start(image, settings);
        let url = ec2.url();
        Self::built(ec2, &url, "arm64", (more, &[]), change)
    }

    /// One whose coordinator, over TLS, and machines have a clock that the test sets at this path ([`clock::sets`]).
    ///
    /// # Panics
    /// As [`Region::start`].
    #[must_use]
    pub fn with_clock(at: &Path, settings: &Value) -> Self {
        let environment = clock::sets(at);
        let image = Image {
            environment: environment.clone(),
            ..Image::light()
        };
        let ec2 = Ec2::start(image, settings);
        let url = ec2.url();
        Self::built(ec2, &url, "arm64", (&environment, &["--tls"]), |_, _| ())
    }

    /// Starts the coordinator again.
    pub fn again(&mut self) {
        self.serve.again(&self.server);
    }

    /// One whose coordinator asks EC2 and Auto Scaling at `fleets`, with an image of this architecture.
    ///
    /// # Panics
    /// As [`Region::start`].
    #[must_use]
    pub fn at(ec2: Ec2, fleets: &str, architecture: &str) -> Self {
        Self::built(ec2, fleets, architecture, (&[], &[]), |_, _| ())
    }

    fn built(
        ec2: Ec2,
        fleets: &str,
        architecture: &str,
        (more, flags): (&[(String, String)], &[&str]),
        change: impl FnOnce(&mut Value, &Home),
    ) -> Self {
        let url = ec2.url();
        let store = format!("s3://{BUCKET}/team");
        let environment = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("MAYFLY_STORE", store.as_str()),
        ];
        let (mut home, mut server) = (Home::new(), Home::new());
        home.set_environment(&environment);
        let more = more.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let of_server: Vec<_> = environment[..3].iter().copied().chain(more).collect();
        server.set_environment(&of_server);
        home.verb(&["network", "create", "--bucket", BUCKET, "--prefix", "team"])
            .exited(0);
        let ami = ec2.register_image("mayfly", architecture);
        let mut config = settings_of(&server, &url, fleets, &ami);
        change(&mut config, &home);
        let config = write(&server, "serve.yml", &config.to_string());
        let serve = Serve::start_with(&server, &[&["--config", &config], flags].concat());
        Self {
            serve,
            home,
            ec2,
            server,
        }
    }

    /// Launches a job on AWS.
    #[must_use]
    pub fn launch(&self, job: &Job, flags: &[&str]) -> Launch {
        let flags: Vec<&str> = ["--on", "aws"].iter().chain(flags).copied().collect();
        self.serve.launch(&self.home, job, &flags)
    }

    /// Whether AWS has nothing of any run.
    ///
    /// # Panics
    /// The rig is gone.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let left = self.ec2.rig("GET", "leftovers", &Value::Null);
        let kinds = left.as_object().expect("kinds of things");
        kinds
            .values()
            .all(|kind| kind.as_array().is_none_or(Vec::is_empty))
    }

    /// The receipt of the newest run.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn receipt(&self) -> Value {
        let said = self.home.verb(&["receipt", "last", "--json"]);
        serde_json::from_str(&said.exited(0).stdout).expect("a receipt is JSON")
    }

    /// Nothing of any run is there, as AWS tells it.
    ///
    /// # Panics
    /// Something is.
    pub fn assert_nothing_left(&self) {
        assert!(
            self.is_clear(),
            "left over: {:#}",
            self.ec2.rig("GET", "leftovers", &Value::Null)
        );
        for row in self.bill() {
            assert!(!row["ended"].is_null(), "an instance never ended: {row}");
        }
    }

    /// Instances of the newest fleets that run now, by their role.
    #[must_use]
    pub fn up(&self, role: &str) -> Vec<Info> {
        let all = self.ec2.instances().into_iter();
        all.filter(|info| info.state == "running" && info.role() == Some(role))
            .collect()
    }

    /// An object of the store, by the end of its key.
    ///
    /// # Panics
    /// The store is gone.
    #[must_use]
    pub fn stored(&self, key: &str) -> Option<String> {
        self.ec2.object(&format!("/{BUCKET}/team/{key}"))
    }

    /// The record of the newest run.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn record(&self) -> Value {
        let said = self.home.verb(&["status", "last", "--json"]);
        serde_json::from_str(&said.exited(0).stdout).expect("a record is JSON")
    }

    /// Every instance that there ever was, with what it cost.
    ///
    /// # Panics
    /// The rig is gone.
    #[must_use]
    pub fn bill(&self) -> Vec<Value> {
        let bill = self.ec2.rig("GET", "bill", &Value::Null);
        bill["instances"].as_array().expect("a list").clone()
    }
}

fn write(server: &Home, name: &str, text: &str) -> String {
    let path = server.scratch(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn settings_of(server: &Home, url: &str, fleets: &str, ami: &str) -> Value {
    let access = write(server, "access-key", ACCESS_KEY);
    let secret = write(server, "secret-key", SECRET_KEY);
    json!({
        "store": {
            "bucket": BUCKET,
            "prefix": "team",
            "region": REGION,
            "endpoint": url,
            "access_key_file": access,
            "secret_key_file": secret,
        },
        "aws": { "network": "default", "region": REGION, "endpoint": fleets, "image": ami, "look_every": "1s" },
    })
}

/// A job whose machines are ordered as AWS has them.
#[must_use]
pub fn job(name: &str, repo: &str, entry: &str) -> Job {
    Job::new(name, repo, entry)
        .set("master.instance", "t4g.small")
        .set("workers.instance", "t4g.small")
}

/// Longest that a run on AWS may take here.
#[must_use]
pub fn limit() -> std::time::Duration {
    secs(600)
}
