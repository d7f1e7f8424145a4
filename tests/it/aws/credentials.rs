//! bad-inputs.md 22, 42: whoever launches has no credentials, or ones that are not good; or names an image that machines
//! cannot boot from. Nothing is made, and one sentence says what to do.

use std::fs;

use mayfly_tests::ec2::Image;
use mayfly_tests::region::job;
use mayfly_tests::{Account, Ended, Home, Job, Repo};
use serde_json::json;

use super::light::LIMIT;

const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// In place of the files of AWS's own tools on the machine of whoever runs the tests.
const OWN: &str = "[default]\noutput = json\n";

fn account() -> (Account, Repo, Job) {
    let account = Account::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py");
    (account, repo, job)
}

/// What a person has, and lacks.
struct Person<'a> {
    has: &'a [(&'a str, &'a str)],
    lacks: &'a [&'a str],
}

impl Person<'_> {
    /// A launch, and what looks at AWS alone.
    fn is_refused(&self, account: &Account, job: &Job, says: &str) {
        self.may_not(account, &["network", "show"], says);
        self.may_not(account, &["gc", "--on", "aws"], says);
        self.may_not_launch(account, job, says);
    }

    fn may_not_look(&self, account: &Account, says: &str) {
        for verb in [
            &["network", "show"][..],
            &["network", "destroy", "--yes"],
            &["control", "show"],
            &["control", "create", "--yes"],
            &["control", "destroy", "--yes"],
            &["gc", "--on", "aws"],
        ] {
            self.may_not(account, verb, says);
        }
    }

    fn may_not_launch(&self, account: &Account, job: &Job, says: &str) {
        let file = job.write(&account.home);
        let launch = ["launch", file.to_str().unwrap(), "idle", "--on", "aws", "--yes"];
        self.may_not(account, &launch, says);
        assert!(account.ec2.instances().is_empty(), "a machine was started");
        assert!(account.is_clear(), "left over: {:#}", account.leftovers());
    }

    fn may_not(&self, account: &Account, args: &[&str], says: &str) {
        let ended = self.asks(&account.home, args);
        assert_eq!(
            ended.code,
            Some(2),
            "{args:?} said {}{}",
            ended.stdout,
            ended.stderr
        );
        ended.said(says);
        let (_, error) = ended.stderr.rsplit_once("error: ").unwrap();
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }

    fn asks(&self, home: &Home, args: &[&str]) -> Ended {
        let mut command = home.command(args);
        for name in self.lacks {
            command.env_remove(name);
        }
        let own = home.scratch("aws-config");
        fs::write(&own, OWN).unwrap();
        command
            .env("AWS_CONFIG_FILE", &own)
            .env("AWS_SHARED_CREDENTIALS_FILE", &own)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.has.iter().copied());
        home.start(&mut command).wait(LIMIT)
    }
}

fn with<'a>(has: &'a [(&'a str, &'a str)], lacks: &'a [&'a str]) -> Person<'a> {
    Person { has, lacks }
}

#[test]
fn who_has_no_good_credentials_is_told_so_and_nothing_is_made() {
    let (account, _repo, job) = account();
    with(&[], &KEYS).is_refused(&account, &job, "there are no credentials");
    with(&[], &KEYS).may_not_look(&account, "there are no credentials");
    let create = ["network", "create", "--bucket", "others"];
    with(&[], &KEYS).may_not(&account, &create, "there are no credentials");
    let missing = [("AWS_PROFILE", "missing")];
    with(&missing, &KEYS).is_refused(&account, &job, "profile `missing` was not defined");
    // What they had until a moment ago; the rig reads the end of keys from their name.
    let ended = [("AWS_ACCESS_KEY_ID", "ASIARIG1"), ("AWS_SESSION_TOKEN", "ended")];
    with(&ended, &[]).is_refused(
        &account,
        &job,
        "ExpiredToken: The provided token has expired; see `aws configure",
    );
    let elsewhere = [("AWS_REGION", "eu-west-1")];
    with(&elsewhere, &[]).may_not_launch(&account, &job, "there is no network default in eu-west-1");
    let none = [("AWS_REGION", "here; ls")];
    with(&none, &[]).is_refused(&account, &job, "\"here; ls\" is no region");
}

#[test]
fn who_lacks_a_permission_is_told_which_policies_have_it_and_nothing_is_made() {
    let (account, _repo, job) = account();
    let refused = json!({ "service": "ec2", "action": "Describe.*", "times": 1_000, "status": 403, "code": "UnauthorizedOperation" });
    account.ec2.rig("POST", "faults", &refused);
    let person = with(&[], &[]);
    let says = "`configs/iam` has the policies";
    person.may_not_look(&account, says);
    person.may_not_launch(&account, &job, says);
}

#[test]
fn an_image_that_machines_cannot_boot_from_is_refused() {
    let (account, _repo, job) = account();
    let other = account.ec2.register_image("other", "x86_64");
    let gone = account.ec2.register_image("gone", "arm64");
    account.ec2.aws("ec2", "DeregisterImage", &[("ImageId", &gone)]);
    for (image, says) in [
        ("ami-", "ami-"),
        ("", "ami-"),
        ("latest", "latest"),
        ("ami-0123456789abcdef0\n", "ami-0123456789abcdef0"),
        (other.as_str(), "is for x86_64"),
        (gone.as_str(), "there is no image"),
    ] {
        let ended = account.launch(&job, &["--image", image]).wait(LIMIT);
        assert_eq!(
            ended.code,
            Some(2),
            "with the image {image:?} it said {}",
            ended.stderr
        );
        ended.said(says);
        assert!(!ended.stderr.contains("panicked"), "{image:?}: {}", ended.stderr);
    }
    assert!(account.ec2.instances().is_empty(), "a machine was started");
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
}
