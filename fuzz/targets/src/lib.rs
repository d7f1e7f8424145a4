//! What the fuzz targets do: one function for each decoder that reads what others sent or wrote, with what must hold
//! whatever it reads. `fuzz/` makes a program of each for cargo-fuzz; an ordinary test gives each its seeds and inputs
//! that are made up, so that they go on being compiled and true.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an input that makes one of these panic is a find"
)]

mod calls;
mod carry;
mod certificate;
mod consul;
mod consul_writes;
mod desired;
mod enrol;
mod enrolled;
mod ids;
mod job;
mod join;
mod launch;
mod liar;
mod logs;
mod metadata;
mod older;
mod records;
mod report;
mod shared_job;
#[cfg(test)]
mod tests;
mod view;

/// Takes one input.
type Run = fn(&[u8]);

/// All of them, by their names.
pub const ALL: &[(&str, Run)] = &[
    ("calls", calls::run),
    ("carry", carry::run),
    ("certificate", certificate::run),
    ("consul", consul::run),
    ("consul_writes", consul_writes::run),
    ("desired", desired::run),
    ("enrol", enrol::run),
    ("enrolled", enrolled::run),
    ("ids", ids::run),
    ("job", job::run),
    ("join", join::run),
    ("launch", launch::run),
    ("logs", logs::run),
    ("metadata", metadata::run),
    ("older", older::run),
    ("records", records::run),
    ("report", report::run),
    ("shared_job", shared_job::run),
    ("view", view::run),
];

/// Gives an input to the target of this name.
///
/// # Panics
/// There is none, or the input is a find.
pub fn run(name: &str, input: &[u8]) {
    let (_, run) = ALL.iter().find(|(known, _)| *known == name).expect("a target");
    run(input);
}

/// As much of an input as is text.
fn text(input: &[u8]) -> &str {
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// The messages of an input, each with its length before it.
fn messages<M: prost::Message + Default>(mut input: &[u8]) -> Vec<M> {
    std::iter::from_fn(|| {
        let more = !input.is_empty();
        more.then(|| M::decode_length_delimited(&mut input).ok())
            .flatten()
    })
    .collect()
}
