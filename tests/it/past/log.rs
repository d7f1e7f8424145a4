//! Large logs: nothing of them is left out without a word, and none is held in memory as a whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use mayfly_tests::http::Page;
use mayfly_tests::wait::secs;
use mayfly_tests::{Browser, Home, Run, Serve};

use super::{ended, get};
use crate::server::peak_bytes;

/// Bytes of the log in the test of memory.
const LARGE: usize = 1 << 30;
/// Most that a program may hold of it: two chunks of the largest size, and itself.
const PEAK_MAX: u64 = 320 << 20;

/// Puts a chunk in the place of what a node's job printed.
fn put(run: &Run<'_>, node: &str, number: usize, packed: &[u8]) {
    let folder = run.folder().join("attempt-1/logs").join(node);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("job-{number:06}.log.gz")), packed).unwrap();
}

fn pack(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// The address of a link with this in its tag.
fn link(page: &Page, mark: &str) -> Option<String> {
    let (_, tag) = page.body.split_once(mark)?;
    let (_, rest) = tag.split_once("href=\"")?;
    let (address, _) = rest.split_once('"')?;
    Some(address.replace("&amp;", "&"))
}

#[test]
fn a_search_comes_through_a_chunk_with_more_lines_than_a_page() {
    let home = Home::light();
    let run = ended(&home, "found");
    let (mut text, mut wanted) = (String::new(), BTreeSet::new());
    for number in 0..1_700 {
        writeln!(text, "Needle <{number}>\nhay").unwrap();
        wanted.insert(number);
    }
    put(&run, "master-1", 0, &pack(&text));
    put(&run, "master-1", 1, &pack("hay\nneedle <1700>\n"));
    wanted.insert(1_700);
    let serve = Serve::start(&home);
    let (mut next, mut found) = (Some(format!("/runs/{}/log?q=needle", run.id)), BTreeSet::new());
    while let Some(path) = next {
        let page = get(&serve, &path);
        let before = found.len();
        for part in page.body.split("eedle &lt;").skip(1) {
            let number: u32 = part.split("&gt;").next().unwrap().parse().unwrap();
            assert!(found.insert(number), "{number} is shown twice");
        }
        assert!(found.len() > before, "{path} shows nothing");
        next = link(&page, "rel=\"next\"");
        assert_eq!(next.is_some(), page.body.contains("there may be more"), "{path}");
    }
    assert_eq!(found, wanted);
    // What is found leads to where it is, with what comes before it.
    let page = get(&serve, &format!("/runs/{}/log?q=%3C900%3E", run.id));
    let place = link(&page, "<span class=\"l\"").unwrap();
    let around = get(&serve, &place).body;
    let first = around.split("class=\"l\">").nth(1).unwrap();
    assert!(first.starts_with("Needle &lt;895&gt;"), "{first:.60}");
    serve.stop().exited(0);
}

#[test]
fn lines_of_one_node_are_shown_on_demand() {
    let home = Home::light();
    let run = ended(&home, "nodes");
    put(&run, "master-1", 0, &pack("from the master\n"));
    let serve = Serve::start(&home);
    let browser = Browser::start();
    let page = format!("{}/runs/{}", serve.url, run.id);
    browser.go(&page);
    browser.type_into("#token", &serve.token);
    browser.click("button[type=submit]");
    browser.shows("from the master", secs(10));
    let hidden = "getComputedStyle(document.querySelector('#log-node')).display === 'none'";
    assert_eq!(
        browser.eval(hidden),
        true,
        "of one node there is nothing to choose"
    );
    put(&run, "worker-1", 0, &pack("from the worker\nand more\n"));
    browser.go(&page);
    browser.shows("from the worker", secs(10));
    assert_eq!(browser.eval(hidden), false);
    let choose = |node: &str| {
        let script = format!(
            "(s => {{ s.value = '{node}'; s.dispatchEvent(new Event('change')); return 1; }})(document.querySelector('#log-node'))"
        );
        let _done = browser.eval(&script);
        browser.eval("document.querySelector('#log').innerText.trim()")
    };
    assert_eq!(choose("worker-1"), "from the worker\nand more");
    browser.type_into("#log-search", "MORE");
    assert_eq!(choose("worker-1"), "and more");
    assert_eq!(choose("master-1"), "");
    assert_eq!(choose(""), "and more");
    drop(browser);
    serve.stop().exited(0);
}

/// One line again and again, of about so many bytes in all.
fn repeated(bytes: usize) -> String {
    let line = "the same line again and again, as jobs print it when nobody looks\n";
    line.repeat(bytes / line.len())
}

#[test]
#[ignore = "prints a gigabyte; `make test-long`"]
fn a_log_of_a_gigabyte_needs_no_gigabyte() {
    let home = Home::light();
    let run = ended(&home, "large");
    // The largest that is read at all: an agent's own are a sixteenth of it.
    let chunk = pack(&repeated(63 << 20));
    let count = LARGE.div_ceil(63 << 20);
    for number in 0..count {
        put(&run, "master-1", number, &chunk);
    }
    put(&run, "master-1", count, &pack("a needle\n"));

    let mut logs = home.command(&["logs", run.id.as_str()]);
    let mut logs = logs.stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = logs.stdout.take().unwrap();
    let (mut bytes, mut all, mut peak) = (vec![0; 1 << 20], 0, 0);
    loop {
        let read = printed.read(&mut bytes).unwrap();
        if read == 0 {
            break;
        }
        all += read;
        // While it still has lines that nobody reads it is alive.
        if peak == 0 && all > LARGE - (64 << 20) {
            peak = peak_bytes(logs.id());
        }
    }
    assert!(logs.wait().unwrap().success());
    assert!(all > LARGE - (2 << 20), "{all} bytes");
    eprintln!("`logs` of {all} bytes: {} MiB at most", peak >> 20);
    assert!((1..PEAK_MAX).contains(&peak), "{peak} bytes in memory");

    let serve = Serve::start(&home);
    let path = format!("/runs/{}/log", run.id);
    let last = get(&serve, &path);
    assert!(last.body.contains("a needle"));
    let before = link(&last, "rel=\"prev\"").unwrap();
    assert!(get(&serve, &before).body.contains("the same line"));
    let mut next = Some(format!("{path}?q=needle"));
    let mut pages = 0;
    while let Some(path) = next.take() {
        let page = get(&serve, &path);
        pages += 1;
        next = link(&page, "rel=\"next\"");
        if next.is_none() {
            assert!(page.body.contains("a needle"), "{}", page.body);
        }
    }
    let peak = peak_bytes(serve.pid());
    eprintln!(
        "the page, with a search of {pages} pages: {} MiB at most",
        peak >> 20
    );
    assert!(peak < PEAK_MAX, "{peak} bytes in memory");
    serve.stop().exited(0);
}
