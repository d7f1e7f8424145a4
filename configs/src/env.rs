//! The environment of a job: names, and `${VAR}` out of the launcher's environment.

use crate::diag::Problem;
use crate::text::{clean_value, name_char, quote, sized};

/// Names that Mayfly or the engine sets, by prefix.
const RESERVED: [&str; 3] = ["MAYFLY_", "AWS_", "SPARK_"];
/// Names that would change which code runs before the job does.
const REFUSED: [&str; 9] = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "JAVA_HOME",
    "PYSPARK_PYTHON",
    "PYSPARK_DRIVER_PYTHON",
    "PYTHONHOME",
];
/// Longest value, after interpolation.
const MAX_VALUE: usize = 16_384;

/// Looks up a variable of the launcher's environment.
pub type Lookup<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Checks the name of a variable that an engine sets; what a job may not set, it may not either, but for its own program.
pub(crate) fn check_engine_name(name: &str) -> Result<(), Problem> {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("SPARK_") || upper == "JAVA_HOME" {
        return Ok(());
    }
    check_name(name)
}

/// Checks the name of a variable.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    sized(name, 128)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(c) = name.chars().find(|c| !plain(*c)) {
        let problem = Problem::new(format!(
            "has the name {}, which holds {}",
            quote(name),
            name_char(c)
        ));
        return Err(problem.help("a name is letters, digits and `_`"));
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        let problem = Problem::new(format!("has the name {}, which begins with a digit", quote(name)));
        return Err(problem.help("a name begins with a letter or `_`"));
    }
    let upper = name.to_ascii_uppercase();
    if let Some(prefix) = RESERVED.iter().find(|prefix| upper.starts_with(**prefix)) {
        let problem = Problem::new(format!(
            "must not set {}: names with {prefix} are reserved",
            quote(name)
        ));
        return Err(problem.help("use another name; Mayfly sets these itself"));
    }
    if REFUSED.contains(&upper.as_str()) {
        let problem = Problem::new(format!("must not set {}", quote(name)));
        return Err(problem.help("remove it: it would change what runs before the job's own code"));
    }
    Ok(())
}

/// The value of a variable, and whether it took anything from the launcher. Without a lookup the form is checked and
/// the text is kept. `$${` stands for `${`.
pub(crate) fn interpolate(text: &str, lookup: Option<&Lookup<'_>>) -> Result<(String, bool), Problem> {
    let (mut out, mut rest, mut taken) = (String::new(), text, false);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (name, tail) = after.split_once('}').ok_or_else(|| {
            Problem::new("has a `${` without its `}`")
                .help("write ${NAME}, or $${ for the characters themselves")
        })?;
        out.push_str(before);
        out.push_str(&value_of(name, lookup)?);
        limited(&out)?;
        (rest, taken) = (tail, true);
    }
    out.push_str(rest);
    limited(&out)?;
    clean_value(&out)?;
    Ok((out, taken))
}

fn limited(value: &str) -> Result<(), Problem> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    Err(Problem::new("is too long").help(format!(
        "at most {MAX_VALUE} bytes are allowed, after ${{…}} is replaced"
    )))
}

/// Never says what a variable holds: it may be a secret.
fn value_of(name: &str, lookup: Option<&Lookup<'_>>) -> Result<String, Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        let problem = Problem::new(format!("refers to {}, which is not a variable name", quote(name)));
        return Err(problem.help("write ${NAME} with letters, digits and `_`"));
    }
    let Some(lookup) = lookup else {
        return Ok(format!("${{{name}}}"));
    };
    let Some(value) = lookup(name) else {
        let problem = Problem::new(format!("refers to {}, which is not set", quote(name)));
        return Err(problem.help(format!("set it before launching: export {name}=…")));
    };
    if value.contains("${") {
        let problem = Problem::new(format!(
            "refers to {}, whose value refers to a variable again",
            quote(name)
        ));
        return Err(problem.help("give the variable its final value"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".to_owned()),
            "LOOP" => Some("${LOOP}".to_owned()),
            "BIG" => Some("x".repeat(10_000)),
            _ => None,
        }
    }

    #[test]
    fn replaces_what_is_set() {
        assert_eq!(
            interpolate("x${A}y${A}", Some(&lookup)),
            Ok(("x1y1".to_owned(), true))
        );
        assert_eq!(
            interpolate("$A $ {}", Some(&lookup)),
            Ok(("$A $ {}".to_owned(), false))
        );
        assert_eq!(
            interpolate("$${A}", Some(&lookup)),
            Ok(("${A}".to_owned(), false))
        );
        assert_eq!(interpolate("${NOT}", None), Ok(("${NOT}".to_owned(), true)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "${NOT}",
            "${LOOP}",
            "${A",
            "${}",
            "${a b}",
            "${${A}}",
            "${BIG}${BIG}",
            "a\0b",
        ] {
            assert!(interpolate(text, Some(&lookup)).is_err(), "{text}");
        }
    }
}
