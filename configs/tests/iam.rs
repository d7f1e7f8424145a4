//! What the policies allow, call by call; and that each of their statements and conditions has its reason among the calls.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "iam/calls.rs"]
mod calls;
#[path = "iam/eval.rs"]
mod eval;

use std::collections::BTreeSet;
use std::path::Path;

use mayfly_configs::{IamPlace, Policy, S3Prefix};
use regex::Regex;
use serde_json::{Value, json};

use calls::{Row, rows};
use eval::allows;

/// What AWS takes for a managed policy, without spaces; inside a role there may be more.
const MANAGED_MAX: usize = 6_144;

/// Policies of people and machines, whose every action has its row.
const ALLOWING: [&str; 7] = [
    "launcher",
    "node",
    "job",
    "network",
    "bake",
    "control",
    "control-admin",
];

fn place() -> IamPlace {
    let store = S3Prefix::new("s3://our-bucket/team").unwrap();
    IamPlace::new("111122223333", "eu-west-1", "main", store).unwrap()
}

fn policy(name: &str) -> Value {
    if name == "anything" {
        return json!({"Statement": [{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}]});
    }
    let found = Policy::ALL.into_iter().find(|policy| policy.name() == name);
    let found = found.unwrap_or_else(|| panic!("there is no policy {name}"));
    serde_json::from_str(&found.render(&place()).unwrap()).unwrap()
}

/// The policies that are in force together, as `node+bucket`.
fn policies(names: &str) -> Vec<Value> {
    names.split('+').map(policy).collect()
}

fn statements(policy: &mut Value) -> &mut Vec<Value> {
    policy["Statement"].as_array_mut().unwrap()
}

#[test]
fn every_call_of_the_table_is_decided_as_it_says() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter(|row| allows(&policies(&row.policies), &row.call) != row.allowed)
        .map(|row| format!("line {}: {}", row.line, row.text))
        .collect();
    assert!(wrong.is_empty(), "decided otherwise:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_is_long_enough_and_has_more_refusals_than_permissions() {
    let rows = rows();
    let allowed = rows.iter().filter(|row| row.allowed).count();
    assert!(
        allowed >= 20 && rows.len() - allowed >= 40,
        "{allowed} of {}",
        rows.len()
    );
}

#[test]
fn every_action_that_is_allowed_is_in_the_table() {
    let rows = rows();
    let mut missing = Vec::new();
    for name in ALLOWING {
        for statement in statements(&mut policy(name)) {
            let unused = texts(&statement["Action"]).into_iter().filter(|action| {
                let with = |row: &&Row| {
                    row.policies.split('+').any(|one| one == name)
                        && row.call.action == *action
                        && row.allowed
                };
                statement["Effect"] == "Allow" && !is_look(action) && !rows.iter().any(|row| with(&row))
            });
            missing.extend(unused.map(|action| format!("{name} {action}")));
        }
    }
    assert!(missing.is_empty(), "no row allows:\n{}", missing.join("\n"));
}

/// Calls of AWS's clients in `aws/src`, as policies name them.
fn calls_of_the_code() -> BTreeSet<String> {
    let call = Regex::new(r"\.\s*(ec2|groups|iam|pricing|quotas|sts)\s*\.\s*([a-z_]+)\(\)").unwrap();
    let mut calls = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../aws/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            calls.extend(
                call.captures_iter(&text)
                    .map(|found| action(&found[1], &found[2])),
            );
        }
    }
    calls
}

fn action(client: &str, method: &str) -> String {
    let service = match client {
        "groups" => "autoscaling",
        "quotas" => "servicequotas",
        other => other,
    };
    let words = method
        .split('_')
        .map(|word| word[..1].to_uppercase() + &word[1..]);
    format!("{service}:{}", words.collect::<String>())
}

/// Who makes which call is what runs against the rig show (`tests/it/aws/allowed.rs`).
#[test]
fn every_call_that_the_code_makes_is_allowed_to_somebody() {
    let statements = ALLOWING
        .map(|name| statements(&mut policy(name)).clone())
        .concat();
    let allowing = statements.iter().filter(|one| one["Effect"] == "Allow");
    let allowed: BTreeSet<String> = allowing.flat_map(|one| texts(&one["Action"])).collect();
    let calls = calls_of_the_code();
    assert!(calls.len() > 50, "they are not found: {calls:?}");
    let beyond: Vec<&String> = calls.difference(&allowed).collect();
    assert!(beyond.is_empty(), "no policy allows {beyond:?}");
}

#[test]
fn without_any_statement_or_condition_some_call_is_decided_otherwise() {
    let mut needless = Vec::new();
    for name in Policy::ALL.map(Policy::name) {
        for (what, changed) in weakened(&policy(name)) {
            let noticed = rows()
                .iter()
                .filter(|row| row.policies.split('+').any(|one| one == name))
                .any(|row| {
                    let swap = |one: &str| if one == name { changed.clone() } else { policy(one) };
                    let others: Vec<Value> = row.policies.split('+').map(swap).collect();
                    allows(&others, &row.call) != row.allowed
                });
            if !noticed {
                needless.push(format!("{name}: {what}"));
            }
        }
    }
    assert!(
        needless.is_empty(),
        "no row notices that this is gone:\n{}",
        needless.join("\n")
    );
}

/// The policy less one statement, or less one key of one condition; with what is missing.
fn weakened(policy: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (n, statement) in statements(&mut policy.clone()).iter().enumerate() {
        let sid = statement["Sid"].as_str().unwrap().to_owned();
        let mut without = policy.clone();
        statements(&mut without).remove(n);
        all.push((sid.clone(), without));
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            for key in keys.as_object().unwrap().keys() {
                let mut without = policy.clone();
                let condition = &mut statements(&mut without)[n]["Condition"][operator];
                condition.as_object_mut().unwrap().remove(key);
                all.push((format!("{sid}, {operator} {key}"), without));
            }
        }
    }
    all
}

#[test]
fn only_looking_is_allowed_everywhere_and_no_action_is_a_pattern() {
    for name in ALLOWING {
        for statement in statements(&mut policy(name)) {
            if statement["Effect"] != "Allow" {
                continue;
            }
            let actions = texts(&statement["Action"]);
            assert!(
                actions.iter().all(|action| !action.contains('*')),
                "{name}: {actions:?}"
            );
            if texts(&statement["Resource"]).contains(&"*".to_owned()) {
                assert!(
                    actions.iter().all(|action| is_look(action)),
                    "{name}: {actions:?}"
                );
            }
        }
    }
}

#[test]
fn policies_fit_into_what_aws_takes_with_long_names_too() {
    let store = S3Prefix::new(&format!("s3://{}/{}", "b".repeat(63), "p".repeat(100))).unwrap();
    let place = IamPlace::new("111122223333", "ap-southeast-2", &"n".repeat(32), store).unwrap();
    for policy in Policy::ALL {
        let size = policy.render(&place).unwrap().len();
        assert!(size <= MANAGED_MAX, "{} has {size} characters", policy.name());
    }
}

fn is_look(action: &str) -> bool {
    let verb = action.split(':').nth(1).unwrap();
    verb.starts_with("Describe")
        || action == "sts:GetCallerIdentity"
        || action == "pricing:GetProducts"
        || action == "servicequotas:GetServiceQuota"
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        Value::String(one) => vec![one.clone()],
        other => panic!("{other} is neither a text nor a list"),
    }
}
