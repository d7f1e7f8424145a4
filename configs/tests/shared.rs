//! Jobs as texts to share: the same content is the same text, and what comes back is checked like a file.

use std::path::Path;

use mayfly_configs::{import, parse, parse_settings, shared, shared_alone, take_shared, text_of};
use proptest::prelude::*;

const FULL: &str = include_str!("data/full.yml");
const SPARK: &str = include_str!("data/origin/spark.yml");
const PLACE: &str = "key mayfly/jobs/a of Consul";

fn env(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "hunter2".to_owned())
}

fn take(name: &str, text: &str) -> Result<mayfly_configs::Job, String> {
    take_shared(PLACE, name, text, &env, &[])
        .map(|chosen| chosen.job)
        .map_err(|errors| errors.to_string())
}

#[test]
fn a_text_is_the_job_without_its_file() {
    let text = FULL.replacen(
        "defaults:\n",
        "defaults:\n  code: {repo: https://host/code.git}\n",
        1,
    );
    for (name, file) in [("full.yml", text.as_str()), ("spark.yml", SPARK)] {
        let whole = parse(name, file, &env).unwrap();
        let texts = shared(name, file).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(texts.len(), whole.jobs.len());
        for (one, job) in texts.iter().zip(&whole.jobs) {
            assert_eq!(
                take(one.name.as_str(), &one.text).as_ref(),
                Ok(job),
                "{}",
                one.text
            );
            assert_eq!(shared("again", &one.text).unwrap()[0].text, one.text);
            assert!(!one.text.contains("hunter2"), "{}", one.text);
        }
    }
}

#[test]
fn layout_and_order_do_not_matter() {
    let one =
        "a:\n  workers: {count: 4}\n  code:\n    entry: x.py # this one\n    repo: https://host/x.git\n";
    let two = "defaults: {workers: {count: 4, }}\na: {code: {\"repo\": https://host/x.git, entry: x.py}}\n";
    assert_eq!(
        shared("1", one).unwrap()[0].text,
        shared("2", two).unwrap()[0].text
    );
}

#[test]
fn code_that_only_one_machine_has_is_refused() {
    for (text, line) in [
        ("a: {code: {entry: x.py}}\n", 1),
        ("a:\n  code:\n    repo: ../x\n    entry: x.py\n", 3),
    ] {
        let errors = shared("jobs.yml", text).unwrap_err();
        assert_eq!(errors.list()[0].line, Some(line), "{errors}");
        assert!(
            errors.to_string().contains("is a folder of this machine"),
            "{errors}"
        );
        assert!(
            take("a", text)
                .unwrap_err()
                .contains("is a folder of this machine")
        );
    }
}

#[test]
fn what_is_read_is_not_trusted() {
    let good = "a: {code: {repo: https://host/x.git, entry: x.py}}\n";
    assert!(take("a", good).is_ok());
    for (text, words) in [
        ("", "the file is empty"),
        ("null", "the file is empty"),
        ("<html><body>sign in</body></html>", "not jobs"),
        ("{\"a\": NaN}", "holds a single value"),
        (
            "b: {code: {repo: https://host/x.git, entry: x.py}}\n",
            "not the job `a` alone",
        ),
        (
            "a: {code: {repo: https://host/x.git, entry: x.py, entry: y.py}}",
            "is there twice",
        ),
        (
            "a: {code: {repo: \"ext::sh -c id\", entry: x.py}}",
            "remote helpers",
        ),
        (
            "a: {code: {repo: https://host/x.git, entry: ../x.py}}",
            "leaves its folder",
        ),
        (
            "a: {code: {repo: https://host/x.git, entry: x.py}, workers: {count: 1e9}}",
            "whole number",
        ),
        (
            "a: {code: {repo: https://host/x.git, entry: x.py}, worker: {}}",
            "did you mean `workers`?",
        ),
        ("a: &x {code: *x}", "anchors"),
    ] {
        let said = take("a", text).unwrap_err();
        assert!(said.contains(words) && said.contains(PLACE), "{text:?}: {said}");
    }
    let two = format!("{good}b: {{code: {{repo: https://host/x.git, entry: x.py}}}}\n");
    assert!(take("a", &two).unwrap_err().contains("not the job `a` alone"));
    let large = format!(
        "a: {{code: {{repo: https://host/x.git, entry: x.py}}, tags: {{x: \"{}\"}}}}",
        "x".repeat(2 << 20)
    );
    assert!(take("a", &large).unwrap_err().contains("larger than 1 MiB"));
}

#[test]
fn values_may_lie_over_a_shared_job() {
    let text = "a: {code: {repo: https://host/x.git, entry: x.py}}\n";
    let sets = [("workers.count".to_owned(), "7".to_owned())];
    assert_eq!(
        take_shared(PLACE, "a", text, &env, &sets)
            .unwrap()
            .job
            .workers
            .count,
        7
    );
}

/// Whatever is read from Consul or given as a file is answered: with what it holds, or with what is wrong.
fn answered(bytes: &[u8]) {
    let Ok(text) = text_of(PLACE, bytes.to_vec()) else {
        return;
    };
    if let Ok(job) = shared_alone(PLACE, "a", &text) {
        assert_eq!(
            shared_alone(PLACE, "a", &job.text).map(|again| again.text),
            Ok(job.text.clone())
        );
    }
    if let Ok(imported) = import("spark.yml", &text) {
        let jobs = parse("spark.yml", &text, &env).map(|file| file.jobs);
        assert_eq!(
            parse("jobs.yml", &imported.text, &env).map(|file| file.jobs),
            jobs
        );
    }
    let _any = parse_settings(Some((Path::new("serve.yml"), &text)), &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answered(&bytes);
    }

    #[test]
    fn a_changed_old_file_is_answered(at in 0_usize..2_600, gone in 0_usize..20, new in "\\PC{0,8}|[\n\t :;{}\\[\\]'\"&*!-]{0,8}") {
        let chars: Vec<char> = SPARK.chars().collect();
        let at = at.min(chars.len());
        let rest = chars.iter().skip(at + gone);
        let text: String = chars.iter().take(at).copied().chain(new.chars()).chain(rest.copied()).collect();
        answered(text.as_bytes());
    }

    #[test]
    fn a_changed_job_is_answered(at in 0_usize..100, gone in 0_usize..9, new in "[ a-c:{}\\[\\],\"'#&*!|>%@?~\n\\\\0-9-]{0,9}") {
        let good = "a:\n  code: {repo: https://host/x.git, entry: x.py, args: [\"\\u202e\", b]}\n  env: {A: ''}\n";
        let chars: Vec<char> = good.chars().collect();
        let at = at.min(chars.len());
        let rest = chars.iter().skip(at + gone);
        let text: String = chars.iter().take(at).copied().chain(new.chars()).chain(rest.copied()).collect();
        answered(text.as_bytes());
    }
}
