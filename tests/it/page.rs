//! The web page in a real browser, on real runs with real Spark.

use std::fs;
use std::time::Instant;

use mayfly_tests::http::Request;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Browser, Home, Job, Repo, Seen, Serve, slots};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Between the moment that a line is printed and the page.
const LINE_LIMIT: u64 = 2;

/// Every request went to this coordinator, and the console has no error.
#[track_caller]
fn assert_quiet(seen: &Seen, origin: &str, what: &str) {
    let own = |url: &&String| {
        url.starts_with(&format!("{origin}/"))
            || url.starts_with("data:")
            || url.starts_with("about:")
            || url.starts_with("chrome")
    };
    let away: Vec<_> = seen.requests.iter().filter(|url| !own(url)).collect();
    assert!(away.is_empty(), "{what} went to other hosts: {away:#?}");
    assert!(
        seen.errors.is_empty(),
        "errors in the console of {what}: {:#?}",
        seen.errors
    );
    assert!(!seen.requests.is_empty(), "{what}: no request was seen");
}

#[test]
fn a_run_is_seen_as_it_goes_and_afterwards() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let serve = Serve::start(&home);
    let job = Job::at_gate("shows", &home, &repo, "shows.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch).id;
    let browser = Browser::start();

    // A stranger sees the login alone, and a wrong token does not help.
    browser.go(&format!("{}/runs/{run}", serve.url));
    browser.shows("Log in", secs(10));
    browser.type_into("#token", "wrong");
    browser.click("button[type=submit]");
    browser.shows("not the token", secs(10));
    let _wrong = browser.seen();
    browser.type_into("#token", &serve.token);
    browser.click("button[type=submit]");
    browser.shows("Output", secs(10));
    assert_eq!(
        browser.address(),
        format!("{}/runs/{run}", serve.url),
        "on to where one wanted to go"
    );

    // It goes on without being loaded again.
    let _set = browser.eval("window.same = 1");
    launch.until("the job", secs(180), || home.heard("ready"));
    browser.shows("ready <b>not bold</b> in attempt 1", secs(10));
    home.tell("speak");
    launch.until("the line", secs(30), || home.heard("spoke"));
    let spoke = Instant::now();
    browser.shows("spoken at", secs(LINE_LIMIT));
    let late = spoke.elapsed();
    assert!(late <= secs(LINE_LIMIT), "{late:?}");
    browser.shows("working", secs(10));
    assert_quiet(&browser.seen(), &serve.url, "the page of a run");

    // Spark's own pages come through the connection of the master, with all that belongs to them.
    let master = format!("{}/runs/{run}/spark/", serve.url);
    browser.go(&master);
    browser.shows("Spark Master at", secs(30));
    browser.shows("Running Applications (1)", secs(30));
    home.tell("work");
    launch.until("the work", secs(120), || home.heard("worked"));
    browser.go(&master);
    let app = browser.until(
        "the link to the application",
        secs(20),
        "[...document.links].map(a => a.href).find(h => h.includes('/proxy/app-') && !h.includes('kill'))",
    );
    browser.go(app.as_str().unwrap());
    browser.shows("Completed Jobs", secs(30));
    assert!(browser.address().starts_with(&master), "{}", browser.address());
    let styled = "getComputedStyle(document.querySelector('.navbar')).display";
    assert_eq!(browser.eval(styled), "flex", "the style sheets came too");
    let base = app
        .as_str()
        .unwrap()
        .trim_end_matches('/')
        .trim_end_matches("/jobs")
        .to_owned();
    browser.go(&format!("{base}/executors/"));
    browser.until(
        "the table of executors",
        secs(30),
        "document.querySelectorAll('#active-executors-table tbody tr').length",
    );
    browser.go(&format!("{base}/stages/"));
    let stage = browser.until(
        "a stage",
        secs(20),
        "[...document.links].map(a => a.href).find(h => h.includes('/stages/stage/?id='))",
    );
    browser.go(stage.as_str().unwrap());
    browser.until(
        "the tasks of a stage",
        secs(30),
        "document.querySelectorAll('#active-tasks-table tbody tr').length",
    );
    let worker = browser_link(&browser, &master, "/proxy/worker-");
    browser.go(&worker);
    browser.shows("Spark Worker at", secs(30));
    assert_quiet(&browser.seen(), &serve.url, "Spark's own pages");

    // Progress has moved.
    browser.go(&format!("{}/runs/{run}", serve.url));
    browser.until(
        "tasks that are done",
        secs(20),
        "Number(document.querySelector('#tasks-done')?.textContent) > 0",
    );
    browser.until(
        "charts",
        secs(20),
        "document.querySelectorAll('.spark polyline').length > 1",
    );

    // The end: the page is what the store has.
    home.tell("end");
    launch.wait(secs(120)).exited(0);
    browser.shows("Receipt", secs(60));
    browser.shows("Nothing is left.", secs(5));
    browser.shows("succeeded", secs(5));
    browser.shows("spoken at", secs(5));
    for file in ["table.csv", "note.txt", "page.html", "dot.png"] {
        browser.shows(file, secs(5));
    }
    let loaded =
        "[...document.images].every(i => i.complete && i.naturalWidth > 0) && document.images.length > 0";
    browser.until("the image", secs(10), loaded);
    browser.until(
        "charts of the past",
        secs(5),
        "document.querySelectorAll('.spark polyline').length > 1",
    );
    browser.go(&format!("{}/runs/{run}/result?path=table.csv", serve.url));
    browser.shows("<script>alert(1)</script>", secs(5));
    browser.go(&format!("{}/runs/{run}/log?q=GROUPS", serve.url));
    browser.shows("97 groups", secs(5));
    browser.go(&format!("{}/?q=shows", serve.url));
    browser.shows("succeeded", secs(5));
    assert_quiet(&browser.seen(), &serve.url, "the pages of the past");

    // Its history, from its event log.
    browser.go(&format!("{}/runs/{run}", serve.url));
    browser.click("form[action$='/history'] button");
    browser.shows("Completed Jobs", secs(120));
    assert!(
        browser
            .address()
            .contains(&format!("/runs/{run}/past/history/app-")),
        "{}",
        browser.address()
    );
    let _clicked = browser.eval("(document.querySelector('a[href*=\"/executors/\"]').click(), 1)");
    browser.until(
        "executors of the past",
        secs(60),
        "document.querySelectorAll('#active-executors-table tbody tr').length",
    );
    assert_quiet(&browser.seen(), &serve.url, "Spark's History Server");
    serve.stop().exited(0);
    history_of(&home, run.as_str(), &browser);
}

/// The same from the command line, out of the store alone.
fn history_of(home: &Home, run: &str, browser: &Browser) {
    let mut history = home.start(&mut home.command(&["history", run, "--json"]));
    let stdout = history.stdout_file();
    let told: Value = history.until("the address of the history", secs(120), || {
        serde_json::from_slice(&fs::read(&stdout).ok()?).ok()
    });
    assert_eq!(told["run"], run);
    browser.go(told["url"].as_str().unwrap());
    browser.shows("Completed Jobs", secs(60));
    history.signal(Signal::SIGINT);
    history.wait(secs(60)).exited(0);
}

/// The first link of a page whose address has this in it.
fn browser_link(browser: &Browser, page: &str, part: &str) -> String {
    browser.go(page);
    let expression = format!("[...document.links].map(a => a.href).find(h => h.includes('{part}'))");
    let found = browser.until(part, secs(20), &expression);
    found.as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_extended_and_cancelled_on_its_page() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("stopped", &home, &repo, "holds.py");
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    // The address that the command prints lets a browser in.
    let printed = wait::until("the address", secs(10), || {
        let said = launch.stderr();
        let line = said.lines().find(|line| line.contains("/login?key="))?;
        line.split_whitespace().last().map(str::to_owned)
    });
    let browser = Browser::start();
    browser.go(&printed);
    browser.shows("holding in attempt 1", secs(10));
    let deadline = || run.record().unwrap()["deadline"].clone();
    let before = deadline();
    browser.click("details:nth-of-type(2) summary");
    browser.click("form[action$='/extend'] button");
    wait::until("a later end", secs(20), || (deadline() != before).then_some(()));
    browser.shows("holding in attempt 1", secs(10));
    browser.click("details:nth-of-type(1) summary");
    browser.click("form[action$='/cancel'] button[value=fast]");
    let origin = printed.split("/login").next().unwrap().to_owned();
    assert_quiet(&browser.seen(), &origin, "the page with its buttons");
    launch.wait(secs(60)).exited(130);
    run.assert_closed("cancelled");
}

#[test]
fn the_page_is_for_who_has_the_token() {
    mayfly_tests::programs::toolchain();
    let home = Home::new();
    let serve = Serve::start(&home);
    let at = serve.url.trim_start_matches("http://").parse().unwrap();
    let bearer = format!("Bearer {}", serve.token);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let request = Request {
            method,
            path,
            headers,
            ..Request::get(path)
        };
        request
            .send(at)
            .unwrap_or_else(|| panic!("no answer to {method} {path}"))
    };
    let known = ("Authorization", bearer.as_str());
    assert_eq!(ask("GET", "/", &[known]).status, 200);
    assert_eq!(ask("GET", "/", &[]).status, 303, "to the login");
    assert_eq!(ask("GET", "/", &[("Authorization", "Bearer x")]).status, 303);
    assert_eq!(ask("GET", "/runs/a-abcdefgh/live", &[]).status, 303);
    assert_eq!(
        ask("GET", "/login?key=0123456789abcdef0123456789abcdef", &[]).status,
        200,
        "a form"
    );
    // A page elsewhere that has made its own name mean our address (the header of this request comes first).
    let named = Request {
        headers: &[known],
        ..Request::get("/")
    };
    let rebound = named.send_as(at, "evil.example").unwrap();
    assert_eq!(rebound.status, 421, "{}", rebound.body);
    // One that sends a form of its own with the browser's cookie.
    for path in [
        "/runs/a-abcdefgh/cancel",
        "/runs/a-abcdefgh/extend",
        "/login",
        "/logout",
    ] {
        let away = ask(
            "POST",
            path,
            &[("Origin", "http://evil.example"), ("Cookie", "mayfly-1=x")],
        );
        assert_eq!(away.status, 403, "{path}: {}", away.body);
    }
    for path in [
        "/nothing",
        "/runs/..%2f..%2fx",
        "/runs/a-abcdefgh",
        "/runs/A",
        "/assets/x.css",
    ] {
        assert_eq!(ask("GET", path, &[known]).status, 404, "{path}");
    }
    serve.stop().exited(0);
}
