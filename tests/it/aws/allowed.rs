//! What the programs ask of AWS is what `configs/iam` allows to whoever asks: action by action. Resources and conditions are
//! decided by the table of calls beside the policies.

use std::collections::BTreeSet;

use mayfly_configs::{IamPlace, Policy, S3Prefix};
use mayfly_tests::ec2::Ec2;
use serde_json::{Value, json};

/// Whose keys a call was signed with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    /// A person, or a server that is no machine of AWS.
    Person,
    /// A machine, with those of its role.
    Machine,
}

impl Who {
    fn keys(self) -> &'static str {
        match self {
            Self::Person => "AKIA",
            Self::Machine => "ASIARIG",
        }
    }
}

/// What was asked before does not count.
pub(super) fn from_now_on(ec2: &Ec2) {
    ec2.rig("DELETE", "calls", &Value::Null);
}

/// Something was asked with these keys, and nothing that is not in one of these policies. Before the test itself asks anything.
pub(super) fn assert_covered(ec2: &Ec2, who: Who, policies: &[Policy]) {
    let asked = asked(ec2, who);
    assert!(!asked.is_empty(), "{who:?} has asked nothing");
    let allowed: BTreeSet<String> = policies.iter().flat_map(|policy| actions(*policy)).collect();
    let beyond: Vec<&String> = asked.difference(&allowed).collect();
    assert!(
        beyond.is_empty(),
        "{who:?} asked for what {policies:?} do not allow: {beyond:?}"
    );
}

/// Actions, as policies name them. Those of S3 are paths here.
fn asked(ec2: &Ec2, who: Who) -> BTreeSet<String> {
    let said = ec2.rig("GET", "calls", &Value::Null);
    let calls = said["calls"].as_array().unwrap().iter();
    let theirs = calls.filter(|call| call["key"].as_str().unwrap().starts_with(who.keys()));
    theirs
        .filter(|call| call["service"] != "s3")
        .map(|call| {
            let name = |part: &str| call[part].as_str().unwrap().to_owned();
            format!("{}:{}", name("service"), name("action"))
        })
        .collect()
}

fn actions(policy: Policy) -> Vec<String> {
    let store = S3Prefix::new("s3://mayfly-runs/team").unwrap();
    let place = IamPlace::new("123456789012", "us-east-1", "default", store).unwrap();
    let policy: Value = serde_json::from_str(&policy.render(&place).unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let allowing = statements.filter(|statement| statement["Effect"] == json!("Allow"));
    allowing
        .flat_map(|statement| match &statement["Action"] {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        })
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}
