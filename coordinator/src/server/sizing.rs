//! Whether a worker can hold what a job's Spark properties ask of an executor. Spark itself would wait for such a worker
//! until the deadline.

use std::collections::BTreeMap;

use mayfly_configs::Job;
use mayfly_proto::spark::worker_offer_mib;

use crate::cloud::Sizes;

const MIB: u64 = 1024 * 1024;

/// Checks a job against the machines that it would get.
pub(super) fn check(job: &Job, sizes: Sizes) -> Result<(), String> {
    let is_spark = job.engine.definition().hook.is_some();
    if !is_spark || job.workers.count == 0 {
        return Ok(());
    }
    fits(&job.spark.conf, sizes.worker).map_err(|why| format!("`{}.spark.conf` {why}", job.name.as_str()))
}

/// The same of properties and one worker's cores and memory.
fn fits(conf: &BTreeMap<String, String>, (cores, memory_bytes): (u32, u64)) -> Result<(), String> {
    let text = |key: &str| conf.get(key).map(|value| value.trim());
    let offer = worker_offer_mib(memory_bytes);
    if let Some(asked) = text("spark.executor.memory")
        && mib(asked).is_some_and(|asked| asked > offer)
    {
        return Err(format!(
            "asks for executors with `spark.executor.memory` of {asked}, and a worker has {offer} MiB for them, of its {} \
             MiB: ask for less, leave it out (an executor then fills its worker), or give workers more with `workers.memory`",
            memory_bytes / MIB
        ));
    }
    let asked = text("spark.executor.cores").and_then(|asked| asked.parse::<u64>().ok());
    match asked {
        Some(asked) if asked > u64::from(cores.max(1)) => Err(format!(
            "asks for executors with `spark.executor.cores` of {asked}, and a worker has {}: ask for less, leave it out (an \
             executor then fills its worker), or give workers more with `workers.cores`",
            cores.max(1)
        )),
        Some(_) | None => Ok(()),
    }
}

/// A size as Spark reads it (`JavaUtils.byteStringAs`, in MiB where there is no unit); `None` for what it would refuse.
fn mib(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let mib_of_unit = match unit {
        "" | "m" | "mb" => 1,
        "g" | "gb" => 1 << 10,
        "t" | "tb" => 1 << 20,
        "p" | "pb" => 1 << 30,
        "k" | "kb" => return Some(number >> 10),
        "b" => return Some(number >> 20),
        _ => return None,
    };
    number.checked_mul(mib_of_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(key: &str, value: &str) -> Result<(), String> {
        fits(&BTreeMap::from([(key.into(), value.into())]), (2, 2048 * MIB))
    }

    #[test]
    fn what_no_worker_can_hold_is_refused_with_what_it_has() {
        // 90 % of 2048 - 384 MiB.
        for fits in ["1497m", "1497", "1G", "1kb", "600MB", "  1g "] {
            assert_eq!(asks("spark.executor.memory", fits), Ok(()), "{fits}");
        }
        for not in [
            "1498m",
            "1498",
            "2g",
            "2GB",
            "1t",
            "1p",
            "2000000k",
            "9999999999b",
        ] {
            let why = asks("spark.executor.memory", not).unwrap_err();
            assert!(
                why.contains(not) && why.contains("1497 MiB") && why.contains("2048"),
                "{why}"
            );
        }
        assert_eq!(asks("spark.executor.cores", "2"), Ok(()));
        let why = asks("spark.executor.cores", "3").unwrap_err();
        assert!(why.contains("of 3, and a worker has 2"), "{why}");
    }

    #[test]
    fn what_spark_cannot_read_is_left_to_spark() {
        for odd in [
            "",
            "much",
            "1.5g",
            "-1",
            "1 g",
            "99999999999999999999",
            "18446744073709551615p",
        ] {
            assert_eq!(asks("spark.executor.memory", odd), Ok(()), "{odd}");
            assert_eq!(asks("spark.executor.cores", odd), Ok(()), "{odd}");
        }
        assert_eq!(fits(&BTreeMap::new(), (0, 0)), Ok(()));
    }
}
