//! "Did you mean".

/// How many names are offered at most.
const OFFERED: usize = 5;

/// The names nearest to `wanted`, best first, at most five; those that are nothing like it are left out.
#[must_use]
pub fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = distance(wanted, name);
            (distance <= (wanted.chars().count() / 3).max(1)).then_some((distance, name))
        })
        .collect();
    scored.sort_unstable();
    scored.truncate(OFFERED);
    scored.into_iter().map(|(_, name)| name).collect()
}

fn distance(wanted: &str, name: &str) -> usize {
    let base = |s: &str| s.rsplit('/').next().unwrap_or(s).to_lowercase();
    let whole = strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    // The right file in another folder is a near miss too.
    if base(wanted) == base(name) {
        whole.min(1)
    } else {
        whole
    }
}

/// `; did you mean "a" or "b"?`; without anything near, `; there is "x", "y"`; else nothing.
#[must_use]
pub fn hint(wanted: &str, names: &[String]) -> String {
    let quote = |list: Vec<&str>, and: &str| {
        let quoted: Vec<String> = list.iter().map(|n| format!("{n:?}")).collect();
        match quoted.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} {and} {last}", rest.join(", ")),
            _ => quoted.concat(),
        }
    };
    let close = near(wanted, names.iter().map(String::as_str));
    if !close.is_empty() {
        return format!("; did you mean {}?", quote(close, "or"));
    }
    let some: Vec<&str> = names.iter().map(String::as_str).take(OFFERED).collect();
    let more = names.len().saturating_sub(some.len());
    match (some.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; there is {}", quote(some, "and")),
        (false, _) => format!(
            "; there is {}, and {more} more",
            quote(some, ",").replace(" , ", ", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_offered_and_else_what_there_is() {
        let names = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            hint("mian", &names(&["main", "release"])),
            "; did you mean \"main\"?"
        );
        assert_eq!(
            hint("main.py", &names(&["src/main.py"])),
            "; did you mean \"src/main.py\"?"
        );
        assert_eq!(
            hint("zzzzzz", &names(&["main", "dev"])),
            "; there is \"main\" and \"dev\""
        );
        assert_eq!(hint("zzzzzz", &[]), "");
        let many: Vec<String> = (0..8).map(|i| format!("release-{i}")).collect();
        assert!(hint("q", &many).ends_with("and 3 more"), "{}", hint("q", &many));
    }
}
