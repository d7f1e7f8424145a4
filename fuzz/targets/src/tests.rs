//! Every target is given its seeds, its seeds with damage, and inputs that are made up; and it is a program of cargo-fuzz.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{ALL, Run};

/// Made-up inputs of each target.
const CASES: u32 = 2_000;
/// Of one that asks a server, which takes a thousand times as long.
const CASES_ASKED: u32 = 100;
const ASK: [&str; 4] = ["carry", "consul", "consul_writes", "metadata"];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(fuzz().join(path)).unwrap()
}

/// Inputs to begin with.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(fuzz().join("seeds").join(name));
    let mut paths: Vec<PathBuf> = files
        .into_iter()
        .flatten()
        .map(|file| file.unwrap().path())
        .collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Fields of a message, badly filled: likelier than any bytes to get through the first decoder. What is in a field may be
/// such a message again.
fn almost_a_message() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40).prop_recursive(3, 24, 6, |inner| {
        let inner = prop_oneof![inner, "[ -~]{0,40}".prop_map(String::into_bytes), named()];
        let field = (1u32..24, 0u32..6, number(), inner).prop_map(field);
        vec(field, 0..10).prop_map(|fields| fields.concat())
    })
}

/// What ids and engines are checked for.
fn named() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "a-abcdefgh",
        "worker-1",
        "10.0.0.9",
        "/jobs/?id=1",
        "true",
        "{}",
        r#"{"name":"mine","jobs":{".py":{"run":["{python}","{entry}"]}}}"#,
    ];
    proptest::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..8, Just(u64::MAX), any::<u64>()]
}

fn field((number, wire, value, bytes): (u32, u32, u64, Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | wire), &mut out);
    match wire {
        0 => prost::encoding::encode_varint(value, &mut out),
        1 => out.extend(value.to_le_bytes()),
        2 => out.extend(with_length(&bytes)),
        5 => out.extend(&value.to_le_bytes()[..4]),
        _ => {}
    }
    out
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

/// A seed with some bytes changed and its end cut off.
fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let seed = proptest::sample::select(seeds);
    (seed, changes, 0usize..20).prop_map(|(mut seed, changes, cut)| {
        for (at, byte) in changes {
            if !seed.is_empty() {
                let at = at.index(seed.len());
                seed[at] = byte;
            }
        }
        seed.truncate(seed.len().saturating_sub(cut));
        seed
    })
}

fn made_up(seeds: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let several = vec(almost_a_message(), 0..4);
    let with_lengths = several.prop_map(|all| all.iter().flat_map(|one| with_length(one)).collect());
    let in_parts = vec(
        prop_oneof![almost_a_message(), named(), vec(any::<u8>(), 0..60)],
        0..5,
    );
    let in_parts = in_parts.prop_map(|parts| parts.join(&b"\n%%\n"[..]));
    let any_bytes = vec(any::<u8>(), 0..300);
    let made = prop_oneof![any_bytes, almost_a_message(), with_lengths, in_parts];
    if seeds.is_empty() {
        return made.boxed();
    }
    prop_oneof![made, damaged(seeds)].boxed()
}

/// The find, if there is one.
fn tried(name: &str, run: Run) -> Option<String> {
    let seeds = seeds(name);
    if let Some(find) = seeds.iter().find(|seed| catch_unwind(|| run(seed)).is_err()) {
        return Some(format!("{name}: {:?}", String::from_utf8_lossy(find)));
    }
    let cases = if ASK.contains(&name) { CASES_ASKED } else { CASES };
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let found = TestRunner::new(config).run(&made_up(seeds), |input| {
        catch_unwind(|| run(&input)).map_err(|_| TestCaseError::fail("a find, see above"))
    });
    found.err().map(|error| format!("{name}: {error}"))
}

#[test]
fn no_target_finds_anything_in_inputs_that_are_made_up() {
    let finds: Vec<String> = ALL.iter().filter_map(|(name, run)| tried(name, *run)).collect();
    assert!(finds.is_empty(), "{}", finds.join("\n"));
}

#[test]
fn every_target_is_a_program_of_cargo_fuzz_and_explained() {
    let (manifest, page) = (read("Cargo.toml"), read("README.md"));
    let mut programs: Vec<String> = fs::read_dir(fuzz().join("fuzz_targets"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    programs.sort();
    let names: Vec<String> = ALL.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(programs, names, "a program for each target, in their order");
    for (name, _) in ALL {
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "{name} is not in fuzz/Cargo.toml");
        assert!(
            page.contains(&format!("\n| `{name}` | ")),
            "{name} is not in fuzz/README.md"
        );
        let program = read(format!("fuzz_targets/{name}.rs"));
        assert_eq!(program, PROGRAM.replace("NAME", name), "{name}");
    }
}

/// All that is compiled by cargo-fuzz alone.
const PROGRAM: &str = r#"#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mayfly_fuzz_targets::run("NAME", input));
"#;
