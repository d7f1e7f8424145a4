//! EC2 on this machine: `tests/rig` answers the calls, and every instance that it starts boots a real program.
//!
//! An instance is a pid namespace and a mount namespace (below a user namespace, where root does not run the tests) on a
//! loopback address of its own, with its own folders and its own metadata. It gets a SIGTERM when it is being ended and is
//! killed, with all that it has started, when it has ended; its `poweroff` tells the rig, which ends it as its shutdown
//! behaviour says.

mod booter;
pub mod crowd;
pub mod imds;
mod machine;
mod moto;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{light, programs, wait};
use booter::Booter;
use imds::Trouble;
use moto::Moto;

pub use machine::Info;

/// What every instance runs, in place of an image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The program, and its arguments.
    pub command: Vec<String>,
    /// `toolchain` of the site file.
    pub toolchain: Value,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    /// Consul, for the server of a team.
    pub consul: Option<PathBuf>,
}

impl Image {
    /// The real agent, with Spark as it is installed here.
    #[must_use]
    pub fn agent() -> Self {
        let agent = programs::path("agent").display().to_string();
        Self {
            command: vec![agent, "boot".into()],
            toolchain: programs::toolchain().clone(),
            environment: Vec::new(),
            consul: None,
        }
    }

    /// The same with Consul in it.
    #[must_use]
    pub fn with_consul(mut self) -> Self {
        self.consul = Some(crate::consul::program().to_owned());
        self
    }

    /// The real agent, with a stand-in for Spark (`tests/light`): for what is about machines. It runs jobs of plain Python.
    ///
    /// # Panics
    /// What is installed here is not told as JSON.
    #[must_use]
    pub fn light() -> Self {
        let mut image = Self::agent();
        let java = light::java();
        let toolchain = image.toolchain.as_object_mut().expect("a toolchain");
        toolchain.insert("java".into(), java.display().to_string().into());
        toolchain.insert("cds_archive".into(), Value::Null);
        image
    }

    /// No program: instances are there for AWS alone.
    #[must_use]
    pub fn none() -> Self {
        Self::of(&[])
    }

    /// Some other program.
    #[must_use]
    pub fn of(command: &[&str]) -> Self {
        Self {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            toolchain: Value::Null,
            environment: Vec::new(),
            consul: None,
        }
    }
}

/// A region with machines; when it is dropped none of its processes is left.
#[derive(Debug)]
pub struct Ec2 {
    booter: Booter,
    moto: Moto,
    dir: TempDir,
}

impl Ec2 {
    /// One whose instances run `image`. `settings` are those of the rig, see `tests/rig/README.md`.
    #[must_use]
    pub fn start(image: Image, settings: &Value) -> Self {
        Self::start_with(settings, |_| image)
    }

    /// The same, for an image that has to know the path [`Ec2::shared`].
    #[must_use]
    pub fn start_with(settings: &Value, image: impl FnOnce(&Path) -> Image) -> Self {
        let dir = tempfile::Builder::new().prefix("mayfly-ec2-").tempdir().unwrap();
        let moto = Moto::start(&dir.path().join("moto.log"), settings);
        let image = image(&machine::shared(dir.path()));
        let booter = Booter::start(moto.address(), dir.path(), image);
        Self { booter, moto, dir }
    }

    /// The endpoint of every service.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.moto.address())
    }

    /// Asks the rig something that it must grant: `GET bill`, `POST capacity`.
    ///
    /// # Panics
    /// It does not.
    pub fn rig(&self, method: &str, path: &str, body: &Value) -> Value {
        moto::call(self.moto.address(), method, path, body)
    }

    /// Calls AWS without its SDK, which is what is tested elsewhere; returns the XML of the answer.
    ///
    /// # Panics
    /// It is refused.
    pub fn aws(&self, service: &str, action: &str, params: &[(&str, &str)]) -> String {
        moto::aws(self.moto.address(), service, action, params)
    }

    /// The same, whatever is answered: its status and text.
    ///
    /// # Panics
    /// The rig is gone.
    pub fn try_aws(&self, service: &str, action: &str, params: &[(&str, &str)]) -> (u16, String) {
        moto::try_aws(self.moto.address(), service, action, params)
    }

    /// Calls a service of AWS that speaks JSON, by its target such as `AmazonSSM.PutParameter`.
    ///
    /// # Panics
    /// It is refused.
    pub fn json(&self, service: &str, target: &str, body: &Value) {
        moto::aws_json(self.moto.address(), service, target, body);
    }

    /// An object of S3, by bucket and key; `None` where there is none.
    ///
    /// # Panics
    /// The rig is gone.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<String> {
        moto::object(self.moto.address(), path)
    }

    /// Makes a bucket of S3 that keeps and locks every version of its objects.
    ///
    /// # Panics
    /// It is refused.
    pub fn make_locked_bucket(&self, name: &str) {
        moto::make_locked(self.moto.address(), name);
    }

    /// Registers an image.
    ///
    /// # Panics
    /// It is refused.
    pub fn register_image(&self, name: &str, architecture: &str) -> String {
        let params = [
            ("Name", name),
            ("Architecture", architecture),
            ("RootDeviceName", "/dev/xvda"),
        ];
        let said = self.aws("ec2", "RegisterImage", &params);
        moto::text(&said, "imageId").expect("an image has an id")
    }

    /// All instances that there ever were, as the rig knows them.
    ///
    /// # Panics
    /// The rig is gone.
    #[must_use]
    pub fn instances(&self) -> Vec<Info> {
        let said = self.rig("GET", "machines", &Value::Null);
        serde_json::from_value(said["machines"].clone()).unwrap()
    }

    /// Waits until an instance is in this state.
    pub fn wait_state(&self, id: &str, state: &str, limit: Duration) -> Info {
        wait::until(&format!("{id} to be {state}"), limit, || {
            let all = self.instances();
            all.into_iter().find(|info| info.id == id && info.state == state)
        })
    }

    /// The folder of an instance: `console.log`, `node`, `run`.
    #[must_use]
    pub fn folder(&self, id: &str) -> PathBuf {
        self.dir.path().join(id)
    }

    /// The path that is a folder of its own on each instance.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        machine::shared(self.dir.path())
    }

    /// Where an instance finds its metadata, once it has booted.
    #[must_use]
    pub fn metadata(&self, id: &str) -> Option<String> {
        self.booter.metadata(id)
    }

    /// Processes of an instance, as this machine numbers them.
    #[must_use]
    pub fn processes(&self, id: &str) -> Vec<i32> {
        self.booter.processes(id)
    }

    /// Instances that come up from now on boot so much later.
    pub fn slow_boot(&self, delay: Duration) {
        self.booter.delay(delay);
    }

    /// What is wrong with metadata from now on: of one instance, or of all.
    pub fn trouble(&self, id: Option<&str>, trouble: Trouble) {
        self.booter.trouble(id, trouble);
    }

    /// Spot takes an instance back: with the notice in its metadata until then, or without.
    pub fn interrupt(&self, id: &str, after: Duration, notice: bool) {
        let body = json!({ "after_secs": after.as_secs_f64(), "notice": notice });
        self.rig("POST", &format!("machines/{id}/interrupt"), &body);
    }

    /// Everything of this region.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}
