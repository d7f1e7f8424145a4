//! JSON written as YAML, for reading.

use serde_json::Value;

/// The lines of a value.
pub(super) fn of(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                indent(out, depth);
                out.push_str(&scalar(&Value::String(key.clone())));
                out.push(':');
                follow(out, value, depth + 1);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(out, depth);
                out.push('-');
                follow(out, item, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// What stands behind a key or a dash: on the same line where it is one word, below it where it is not.
fn follow(out: &mut String, value: &Value, depth: usize) {
    let nested = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if nested {
        out.push('\n');
        block(out, value, depth);
    } else {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    }
}

fn indent(out: &mut String, depth: usize) {
    out.push_str(&"  ".repeat(depth));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // A string of JSON is one of YAML.
        other => other.to_string(),
    }
}

/// Whether a text means itself without quotes.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._/@+-".contains(c);
    let words = ["true", "false", "null", "yes", "no", "on", "off", "~"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn reads_as_a_job_file_does() {
        let value = json!({"code": {"args": ["-x", "a b"], "entry": "main.py", "ref": "no"}, "env": {}, "n": 3, "none": null});
        let text = "code:\n  args:\n    - \"-x\"\n    - \"a b\"\n  entry: main.py\n  ref: \"no\"\nenv: {}\nn: 3\nnone: null\n";
        assert_eq!(super::of(&value), text);
    }
}
