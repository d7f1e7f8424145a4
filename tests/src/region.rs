//! A region of AWS with a network, an image, a bucket and a coordinator that launches there.

use serde_json::{Value, json};

use crate::ec2::{Ec2, Image};
use crate::wait::secs;
use crate::{Home, Job, Launch, Serve};

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
    _server: Home,
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
        let ec2 = Ec2::start(image, settings);
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
        server.set_environment(&environment[..4]);
        home.verb(&["network", "create", "--bucket", BUCKET, "--prefix", "team"])
            .exited(0);
        let ami = ec2.register_image("mayfly", "arm64");
        let config = settings_file(&server, &url, &ami);
        let serve = Serve::start_with(&server, &["--config", &config]);
        Self {
            serve,
            home,
            ec2,
            _server: server,
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

fn settings_file(server: &Home, url: &str, ami: &str) -> String {
    let write = |name: &str, text: &str| {
        let path = server.scratch(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (access, secret) = (write("access-key", ACCESS_KEY), write("secret-key", SECRET_KEY));
    let settings = json!({
        "store": {
            "bucket": BUCKET,
            "prefix": "team",
            "region": REGION,
            "endpoint": url,
            "access_key_file": access,
            "secret_key_file": secret,
        },
        "aws": { "network": "default", "region": REGION, "endpoint": url, "image": ami, "look_every": "1s" },
    });
    write("serve.yml", &settings.to_string()).display().to_string()
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
    secs(300)
}
