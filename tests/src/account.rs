//! An account of AWS with a network, an image and a bucket, and nobody who serves: each run's coordinator lives on its own
//! master.

use serde_json::Value;

use crate::ec2::{Ec2, Image};
use crate::{Home, Job, Launch};

const BUCKET: &str = "mayfly-runs";

/// An account; when it is dropped none of its machines is left.
#[derive(Debug)]
pub struct Account {
    /// Whoever launches.
    pub home: Home,
    /// AWS.
    pub ec2: Ec2,
}

impl Account {
    /// One whose machines run `image`, and a coordinator beside the first. `settings` are those of the rig.
    ///
    /// # Panics
    /// Something of it cannot be made.
    #[must_use]
    pub fn of(image: Image, settings: &Value) -> Self {
        let ec2 = Ec2::start(image, settings);
        let image = ec2.register_image("mayfly", "arm64");
        let home = person(&ec2, &[("MAYFLY_IMAGE", &image)]);
        home.verb(&["network", "create", "--bucket", BUCKET, "--prefix", "team"])
            .exited(0);
        Self { home, ec2 }
    }

    /// Somebody with the same credentials on another machine, who knows the store by name.
    #[must_use]
    pub fn elsewhere(&self) -> Home {
        person(&self.ec2, &[("MAYFLY_STORE", &format!("s3://{BUCKET}/team"))])
    }

    /// Launches a job.
    #[must_use]
    pub fn launch(&self, job: &Job, flags: &[&str]) -> Launch {
        self.launch_in(job, flags, &[])
    }

    /// The same with more in its environment.
    #[must_use]
    pub fn launch_in(&self, job: &Job, flags: &[&str], environment: &[(String, String)]) -> Launch {
        let file = job.write(&self.home);
        let mut command = self.home.command(&["launch"]);
        command
            .arg(file)
            .args([job.name(), "--on", "aws", "--yes"])
            .args(flags)
            .envs(environment.iter().cloned());
        self.home.start(&mut command)
    }

    /// Everything that AWS holds of any run.
    ///
    /// # Panics
    /// The rig is gone.
    #[must_use]
    pub fn leftovers(&self) -> Value {
        self.ec2.rig("GET", "leftovers", &Value::Null)
    }

    /// Whether that is nothing.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let left = self.leftovers();
        let mut kinds = left.as_object().into_iter().flat_map(|kinds| kinds.values());
        kinds.all(|kind| kind.as_array().is_none_or(Vec::is_empty))
    }
}

fn person(ec2: &Ec2, more: &[(&str, &str)]) -> Home {
    let url = ec2.url();
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    let mut home = Home::new();
    home.set_environment(&[&credentials, more].concat());
    home
}
