//! Places and names.

use crate::rig::{code, job, refused};

#[test]
fn places_and_names() {
    let long = format!("[{}]", "m7g.large, ".repeat(21));
    for value in [
        "m7g",
        "M7G.large",
        "\"m7g.large\\n\"",
        "x.",
        ".x",
        "7g.large",
        "\"\"",
        "[]",
        &long,
        "[m7g.large, x y]",
    ] {
        refused(
            "21 instance",
            &job(&format!("workers: {{instance: {value}}}")),
            3,
            &["`workers.instance`"],
        );
    }
    refused(
        "21 10 KB",
        &job(&format!("workers:\n  instance: {}", "x".repeat(10_240))),
        4,
        &["xxx…"],
    );
    let bucket = format!("s3://{}", "a".repeat(64));
    for value in [
        "s3:/b",
        "s3://",
        "S3://B",
        "s3://Bucket",
        "s3://my.bucket",
        "s3://my_bucket",
        "s3://10.0.0.1/x",
        &bucket,
        "s3://xn--bucket",
        "s3://ab",
        "s3://abc/../x",
        "\"s3://abc/a\\nb\"",
        "/tmp/x",
    ] {
        refused(
            "24 results",
            &job(&format!("results: {value}")),
            3,
            &["`results`"],
        );
    }
    for value in [
        "[s3://abc]",
        "{store: /tmp/x}",
        "{kept: a}",
        "{keep: \"[a\"}",
        "{exclude: {a: b}}",
        "{folders: [a]}",
        "{folders: {a/b: x}}",
        "{folders: {.: x}}",
        "{folders: {a: ../x}}",
        "{folders: {a: /x}}",
    ] {
        refused("24 results", &job(&format!("results: {value}")), 3, &["results"]);
    }
    for value in [
        "-x",
        "--upload-pack=touch",
        "HEAD~1",
        "refs/heads/../../x",
        "\"a b\"",
        "\"a\\nb\"",
        "a:b",
        "\"\"",
        "HEAD^",
        "\"a\\u202eb\"",
        "main@{1}",
    ] {
        refused("89 ref", &code("ref", value), 4, &["`code.ref`"]);
    }
    for value in [
        "\"ext::sh -c touch% /tmp/x\"",
        "file:///etc",
        "ssh://-oProxyCommand=x/y",
        "git@host:-x",
        "https://user:pw@host/x",
        "https://token@host/x",
        "\"https://host/a\\nb\"",
        "\"https://host/a b\"",
        "https://host/a%0ab",
        "https://g\u{456}thub.com/a",
        "https://host:99999/a",
        "https://host:0/a",
        "https://host",
        "http://host/x",
        "https://169.254.169.254/x",
        "https://[fd00:ec2::254]/x",
        "https://host/../x",
        "https://0x7f.1/x",
        "git://host/x",
        "https://host/-x",
        "somefolder",
        "~/x",
        "\"\"",
        "git@-x:y",
        "ssh://a:b@host/x",
        "https://host/%2e%2e/x",
        "-x",
        "https://host/x?y",
        "ssh://git@host:22:22/x",
    ] {
        refused("90 repo", &code("repo", value), 4, &["`code.repo`"]);
    }
    for value in [
        "../x.py",
        "/etc/x.py",
        "-x.py",
        "\"a\\0.py\"",
        "a.sh",
        "a/../../b.py",
        "\"\"",
    ] {
        refused(
            "91 entry",
            &format!("a:\n  code:\n    entry: {value}\n"),
            3,
            &["`code.entry`"],
        );
    }
    for key in ["path", "requirements"] {
        refused("91 path", &code(key, "../x"), 4, &["leaves its folder"]);
    }
    refused(
        "class",
        "a:\n  code:\n    entry: a.jar\n    class: \"a.B; rm\"\n",
        4,
        &["not the name of a class"],
    );
}
