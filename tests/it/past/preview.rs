//! Tables that a job left as Parquet files, as pyarrow writes them: their first rows are on the page, and what is wrong with
//! one harms nobody.

use std::fs;
use std::process::Command;

use data_encoding::HEXLOWER;
use mayfly_tests::programs::{must, python};
use mayfly_tests::{Home, Run, Serve};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ended, get};
use crate::server::peak_bytes;

/// Files of the folder that is its argument.
const WRITER: &str = r#"
import datetime, sys
import pyarrow as pa, pyarrow.parquet as pq

def write(name, table, **how):
    pq.write_table(table, f"{sys.argv[1]}/{name}.parquet", **how)

table = pa.table({
    "airline": ["<b>JetBlue</b>", None, "Grün"] * 100,
    "flights": pa.array(range(300), pa.int64()),
    "delay": [9.5, None, -1.0] * 100,
    "day": [datetime.date(2013, 1, 2)] * 300,
    "months": [[1, 2], [], None] * 100,
})
write("snappy", table)
write("plain", table, compression="none", use_dictionary=False)
for packing in ["gzip", "zstd"]:
    write(packing, table, compression=packing)
    write(f"{packing}-v2", table, compression=packing, data_page_version="2.0", use_dictionary=False)
write("brotli", table, compression="brotli")
write("wide", pa.table({f"c{n}": [n] for n in range(80)}))
for packing in ["snappy", "gzip", "zstd"]:
    large = pa.table({"zeros": [bytes(400_000_000)]})
    write(f"large-{packing}", large, compression=packing, use_dictionary=False, write_statistics=False)
"#;

/// Puts a file among the results that the run has committed.
fn put(run: &Run<'_>, name: &str, bytes: &[u8]) {
    fs::write(run.results(1).join(name), bytes).unwrap();
    let place = run.folder().join("_COMMIT.json");
    let mut commit: serde_json::Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    let files = commit["files"].as_array_mut().unwrap();
    files.retain(|file| file["path"] != name);
    let sum = HEXLOWER.encode(&Sha256::digest(bytes));
    files.push(json!({ "path": name, "size": bytes.len(), "sha256": sum }));
    fs::write(&place, commit.to_string()).unwrap();
}

fn look(serve: &Serve, run: &Run<'_>, name: &str) -> String {
    get(serve, &format!("/runs/{}/result?path={name}", run.id)).body
}

#[test]
fn the_first_rows_of_a_table_are_shown_and_a_bad_one_harms_nobody() {
    let home = Home::light();
    let run = ended(&home, "tables");
    let folder = home.scratch("tables");
    fs::create_dir(&folder).unwrap();
    must(Command::new(python()).args(["-c", WRITER]).arg(&folder));
    let file = |name: &str| fs::read(folder.join(format!("{name}.parquet"))).unwrap();
    let shown = ["snappy", "plain", "gzip", "zstd", "gzip-v2", "zstd-v2"];
    // The one page of the large ones is 400 MB. Whoever reads it, the coordinator does not.
    let not_shown = ["brotli", "large-snappy", "large-gzip", "large-zstd"];
    for name in shown.into_iter().chain(not_shown).chain(["wide"]) {
        put(&run, &format!("{name}.parquet"), &file(name));
    }
    let serve = Serve::start(&home);
    for name in shown {
        let page = look(&serve, &run, &format!("{name}.parquet"));
        for part in [
            "<td>&lt;b&gt;JetBlue&lt;/b&gt;</td>",
            "<td>Grün</td>",
            "<td>49</td>",
            "<td>9.5</td>",
            "<td>-1.0</td>",
            "<td>2013-01-02",
            "<td>[1, 2]</td>",
            "<td class=\"none\">–</td>",
            "The first 50 rows of 300",
        ] {
            assert!(page.contains(part), "{part:?} is not in {name}: {page}");
        }
        assert!(!page.contains("<td>50</td>"), "{name} shows more");
    }
    let wide = look(&serve, &run, "wide.parquet");
    assert!(
        wide.contains("60 of 80 columns") && !wide.contains("c60"),
        "{wide}"
    );
    for name in not_shown {
        let page = look(&serve, &run, &format!("{name}.parquet"));
        assert!(page.contains("No preview"), "{name}: {page}");
    }
    // Whatever a byte is in the place of another, there is an answer.
    for good in ["snappy", "zstd"].map(file) {
        for place in (4..good.len()).step_by(good.len() / 30) {
            let mut bad = good.clone();
            bad[place] ^= 0xff;
            put(&run, "bad.parquet", &bad);
            look(&serve, &run, "bad.parquet");
        }
    }
    put(&run, "bad.parquet", &file("snappy")[..1000]);
    assert!(look(&serve, &run, "bad.parquet").contains("No preview"));
    let peak = peak_bytes(serve.pid());
    assert!(peak < 250 << 20, "{peak} bytes in memory");
    serve.stop().exited(0);
}
