//! The table of calls, read from `calls.txt`; its first lines say how it is written.

use super::eval::Call;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) text: &'static str,
    pub(crate) policies: String,
    pub(crate) allowed: bool,
    pub(crate) call: Call,
}

pub(crate) fn rows() -> Vec<Row> {
    let lines = include_str!("calls.txt").lines().enumerate();
    let rows = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    rows.map(|(n, text)| row(n + 1, text)).collect()
}

fn row(line: usize, text: &'static str) -> Row {
    let mut words = text.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("line {line} is too short"));
    let (policies, verdict, action, resource) = (word(), word(), word(), word());
    Row {
        line,
        text,
        policies: policies.into(),
        allowed: match verdict {
            "yes" => true,
            "no" => false,
            other => panic!("line {line} says {other}"),
        },
        call: Call {
            action: action.into(),
            resource: arn(resource),
            context: words.map(|word| given(line, word)).collect(),
        },
    }
}

fn arn(short: &str) -> String {
    let at = "eu-west-1:111122223333";
    let (kind, rest) = short.split_once(':').unwrap_or((short, ""));
    match kind {
        "ec2" => format!("arn:aws:ec2:{at}:{rest}"),
        "public" => format!("arn:aws:ec2:eu-west-1::{rest}"),
        "group" => format!("arn:aws:autoscaling:{at}:autoScalingGroup:0a1b:autoScalingGroupName/{rest}"),
        "iam" => format!("arn:aws:iam::111122223333:{rest}"),
        "s3" => format!("arn:aws:s3:::{rest}"),
        _ => short.into(),
    }
}

fn given(line: usize, word: &str) -> (String, String) {
    let (key, value) = word.split_once('=').unwrap_or((word, "mayfly"));
    if key == "caller" {
        return ("aws:PrincipalArn".into(), arn(value));
    }
    let key = match key {
        "ours" => "aws:ResourceTag/managed-by",
        "asked" => "aws:RequestTag/managed-by",
        "run" => "aws:ResourceTag/mayfly:run",
        "me" => "aws:PrincipalTag/mayfly:run",
        "net" => "aws:ResourceTag/mayfly:network",
        "asked-net" => "aws:RequestTag/mayfly:network",
        "control" => "aws:ResourceTag/mayfly:control",
        "asked-control" => "aws:RequestTag/mayfly:control",
        "by" => "ec2:CreateAction",
        "absent" => "s3:if-none-match",
        "creates" => "s3:ObjectCreationOperation",
        "tls" => "aws:SecureTransport",
        "prefix" => "s3:prefix",
        "to" => "iam:PassedToService",
        "for" => "iam:AWSServiceName",
        "service" => "service",
        "keys" => "aws:TagKeys",
        "asked-run" => "aws:RequestTag/mayfly:run",
        other => panic!("line {line}: {other} is not known"),
    };
    (key.into(), value.into())
}
