//! How AWS decides on a call, as far as these policies need it: an explicit deny wins, then any allow, else no.
//!
//! What is not known here is a panic: a policy must not pass since half of it was not understood.

use std::collections::BTreeMap;

use serde_json::Value;

use super::texts;

/// One call: an action on one resource, with what AWS knows of it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: BTreeMap<String, String>,
}

const ELEMENTS: [&str; 7] = [
    "Sid",
    "Effect",
    "Principal",
    "Action",
    "Resource",
    "NotResource",
    "Condition",
];

pub(crate) fn allows(policies: &[Value], call: &Call) -> bool {
    let statements = || {
        let all = policies
            .iter()
            .flat_map(|policy| policy["Statement"].as_array().unwrap());
        all.filter(|statement| applies(statement, call))
    };
    let has = |effect: &str| statements().any(|statement| statement["Effect"] == effect);
    !has("Deny") && has("Allow")
}

fn applies(statement: &Value, call: &Call) -> bool {
    for element in statement.as_object().unwrap().keys() {
        assert!(
            ELEMENTS.contains(&element.as_str()),
            "the element {element} is not known"
        );
    }
    let listed = |list: &Value| texts(list).iter().any(|one| fits(one, &call.resource, call));
    let resource = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(list), None) => listed(list),
        (None, Some(list)) => !listed(list),
        // Trust has none.
        (None, None) => true,
        (Some(_), Some(_)) => panic!("Resource and NotResource at once"),
    };
    let action = texts(&statement["Action"])
        .iter()
        .any(|one| like(&one.to_lowercase(), &call.action.to_lowercase()));
    action
        && resource
        && principal(statement.get("Principal"), call)
        && conditions(statement.get("Condition"), call)
}

/// A bucket's policy is for everybody, trust for a service or for an account.
fn principal(wanted: Option<&Value>, call: &Call) -> bool {
    match wanted {
        None => true,
        Some(Value::String(everybody)) => everybody == "*",
        // Everybody in an account, who then is named by a condition.
        Some(some) if some.get("AWS").is_some() => {
            let account = some["AWS"].as_str().and_then(|arn| arn.strip_suffix("root"));
            let caller = call.context.get("aws:PrincipalArn");
            account
                .zip(caller)
                .is_some_and(|(account, caller)| caller.starts_with(account))
        }
        Some(some) => some["Service"].as_str() == call.context.get("service").map(String::as_str),
    }
}

fn conditions(wanted: Option<&Value>, call: &Call) -> bool {
    let mut all = wanted.and_then(Value::as_object).into_iter().flatten();
    all.all(|(operator, keys)| {
        let mut keys = keys.as_object().unwrap().iter();
        keys.all(|(key, values)| condition(operator, key, &texts(values), call))
    })
}

fn condition(operator: &str, key: &str, values: &[String], call: &Call) -> bool {
    let given = call.context.get(key);
    let some = |test: fn(&str, &str, &Call) -> bool| {
        given.is_some_and(|given| values.iter().any(|value| test(value, given, call)))
    };
    match operator {
        "StringEquals" => some(equals),
        // Also true of a key that is not there.
        "StringNotEquals" => !some(equals),
        "StringLike" => some(fits),
        // Of a key with many values, here with `+` between; true of one that is not there.
        "ForAllValues:StringEquals" => given.is_none_or(|given| {
            let mut all = given.split('+');
            all.all(|one| values.iter().any(|value| equals(value, one, call)))
        }),
        "Bool" => some(|value, given, _| value.eq_ignore_ascii_case(given)),
        "Null" => values
            .iter()
            .any(|value| value == if given.is_none() { "true" } else { "false" }),
        other => panic!("the operator {other} is not known"),
    }
}

fn equals(value: &str, given: &str, call: &Call) -> bool {
    filled(value, call).is_some_and(|value| value == given)
}

fn fits(pattern: &str, given: &str, call: &Call) -> bool {
    filled(pattern, call).is_some_and(|pattern| like(&pattern, given))
}

/// With IAM's variables replaced; nothing fits one without a value.
fn filled(text: &str, call: &Call) -> Option<String> {
    let Some((before, after)) = text.split_once("${") else {
        return Some(text.to_owned());
    };
    let (name, rest) = after.split_once('}').unwrap();
    let value = call.context.get(name)?;
    Some(format!("{before}{value}{}", filled(rest, call)?))
}

/// `*` is any text, also with `/` and `:` in it, `?` any one character.
fn like(pattern: &str, text: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern_chars.as_str();
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.any(|at| like(rest, &text[at..]))
        }
        Some(one) => {
            let mut text_chars = text.chars();
            let fits = text_chars.next().is_some_and(|c| one == '?' || c == one);
            fits && like(pattern_chars.as_str(), text_chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(context: &[(&str, &str)]) -> Call {
        Call {
            action: "s3:GetObject".into(),
            resource: "arn:aws:s3:::b/runs/a/x".into(),
            context: context
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    fn decided(statement: Value, context: &[(&str, &str)]) -> bool {
        let allow = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        allows(&[json!({"Statement": [allow, statement]})], &call(context))
    }

    #[test]
    fn a_deny_goes_before_an_allow() {
        assert!(!decided(
            json!({"Effect": "Deny", "Action": "s3:get*", "Resource": "*/x"}),
            &[]
        ));
        assert!(decided(
            json!({"Effect": "Deny", "Action": "s3:Put*", "Resource": "*/x"}),
            &[]
        ));
        assert!(!allows(&[json!({"Statement": []})], &call(&[])));
    }

    #[test]
    fn a_variable_without_a_value_fits_nothing() {
        let deny = json!({"Effect": "Deny", "Action": "s3:*", "NotResource": "*:b/runs/${me}/*"});
        assert!(decided(deny.clone(), &[("me", "a")]));
        assert!(!decided(deny.clone(), &[("me", "b")]));
        assert!(!decided(deny, &[]));
    }

    #[test]
    fn operators_are_those_of_iam_for_a_key_that_is_not_there() {
        for (operator, absent, same, other) in [
            ("StringEquals", true, false, true),
            ("StringNotEquals", false, true, false),
            ("StringLike", true, false, true),
        ] {
            let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {operator: {"k": ["v", "w"]}}});
            let is = (
                decided(deny.clone(), &[]),
                decided(deny.clone(), &[("k", "w")]),
                decided(deny, &[("k", "x")]),
            );
            assert_eq!(is, (absent, same, other), "{operator}");
        }
        let deny =
            json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": {"k": "true"}}});
        assert!(!decided(deny.clone(), &[]) && decided(deny, &[("k", "")]));
    }

    #[test]
    #[should_panic(expected = "NumericLessThan is not known")]
    fn what_is_not_known_is_not_passed_over() {
        decided(
            json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"NumericLessThan": {"k": "1"}}}),
            &[],
        );
    }
}
