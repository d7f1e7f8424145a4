//! A real browser without a screen, driven as the W3C's WebDriver says: JSON over HTTP, spoken here without a library.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs;
use crate::wait::{self, secs};

/// For one command of the driver: a page may take a while on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// How often the driver is started before a test fails.
const STARTS: u32 = 5;
/// What a browser does of its own accord, and shall not.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// A browser with one window; both it and its driver end when this is dropped.
pub struct Browser {
    driver: Child,
    at: SocketAddr,
    session: String,
    _folder: TempDir,
}

/// What a page loaded or said since this was asked last.
#[derive(Debug, Default)]
pub struct Seen {
    /// Addresses of all requests.
    pub requests: Vec<String>,
    /// Errors in the console, blocked requests among them.
    pub errors: Vec<String>,
}

fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| programs::tool("chromium"))
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// There is no Chromium, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        let own = tempfile::Builder::new()
            .prefix("mayfly-browser-")
            .tempdir()
            .unwrap();
        let (driver, port) = start_driver(own.path());
        let mut browser = Self {
            driver,
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            session: String::new(),
            _folder: own,
        };
        browser.session = browser.new_session();
        // What its own first page loads is not the tests' business.
        browser.go("about:blank");
        let _own = browser.seen();
        browser
    }

    fn new_session(&self) -> String {
        let profile = self._folder.path().join("profile");
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push("--window-size=1280,900".to_owned());
        flags.push(format!("--user-data-dir={}", profile.display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": folder().join("chromium"), "args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"pageLoad": u64::try_from(LIMIT.as_millis()).unwrap(), "script": 20_000},
        }}});
        let made = self.call("POST", "/session", &wanted);
        made["sessionId"]
            .as_str()
            .expect("a session has an id")
            .to_owned()
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = exchange(self.at, method, path, &text, LIMIT);
        let (status, answer) = answer.unwrap_or_else(|| panic!("no answer to {method} {path}"));
        let mut value: Value = serde_json::from_str(&answer).unwrap_or_default();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        value["value"].take()
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{what}", self.session), body)
    }

    /// Goes to an address and waits until its page is loaded.
    pub fn go(&self, address: &str) {
        self.post("url", &json!({ "url": address }));
    }

    /// What an expression of JavaScript is on the page.
    #[must_use]
    pub fn eval(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What an expression is once it is neither false nor nothing.
    ///
    /// # Panics
    /// It is not in time.
    pub fn until(&self, what: &str, limit: Duration, expression: &str) -> Value {
        wait::until(what, limit, || {
            let value = self.eval(expression);
            let nothing = value.is_null() || value == json!(false) || value == json!("") || value == json!(0);
            (!nothing).then_some(value)
        })
    }

    /// Whether a text is on the page, by now or soon.
    ///
    /// # Panics
    /// It is not in time.
    pub fn shows(&self, text: &str, limit: Duration) {
        let expression = format!(
            "document.body && document.body.innerText.includes({})",
            json!(text)
        );
        wait::until(&format!("{text:?} on the page"), limit, || {
            (self.eval(&expression) == json!(true)).then_some(())
        });
    }

    /// Clicks what a selector finds first.
    pub fn click(&self, selector: &str) {
        let id = self.find(selector);
        self.post(&format!("element/{id}/click"), &json!({}));
    }

    /// Types into what a selector finds first.
    pub fn type_into(&self, selector: &str, text: &str) {
        let id = self.find(selector);
        self.post(&format!("element/{id}/value"), &json!({ "text": text }));
    }

    /// The id of what a selector finds first.
    fn find(&self, selector: &str) -> String {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        let id = found
            .as_object()
            .and_then(|map| map.values().next())
            .and_then(Value::as_str);
        id.expect("an element has an id").to_owned()
    }

    /// The address of now.
    #[must_use]
    pub fn address(&self) -> String {
        let value = self.call("GET", &format!("/session/{}/url", self.session), &Value::Null);
        value.as_str().unwrap_or_default().to_owned()
    }

    /// What was loaded and what went wrong since this was asked last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let log = |kind: &str| self.post("se/log", &json!({ "type": kind }));
        let mut seen = Seen::default();
        for entry in log("performance").as_array().into_iter().flatten() {
            let message: Value =
                serde_json::from_str(entry["message"].as_str().unwrap_or("")).unwrap_or_default();
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
                seen.requests.push(url.to_owned());
            }
        }
        for entry in log("browser").as_array().into_iter().flatten() {
            if entry["level"] == "SEVERE" || entry["source"] == "security" {
                seen.errors
                    .push(entry["message"].as_str().unwrap_or_default().to_owned());
            }
        }
        seen
    }

    /// Shows pages in a window of this size from now on, and dark if that is wanted.
    pub fn look(&self, width: u32, height: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tell("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Chromium's own protocol, for what WebDriver has no word for.
    fn tell(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    /// The page as a PNG: what the window shows, or all of it.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn picture(&self, whole: bool) -> Vec<u8> {
        let taken = self.tell(
            "Page.captureScreenshot",
            &json!({ "captureBeyondViewport": whole }),
        );
        let text = taken["data"].as_str().unwrap_or_default();
        data_encoding::BASE64
            .decode(text.as_bytes())
            .expect("a picture in base64")
    }
}

/// Starts the driver on a port of its choice. It takes one of IPv4 and then the same one of IPv6, which may be somebody
/// else's, and ends if it is: then another start has other luck.
fn start_driver(own: &Path) -> (Child, u16) {
    let said = own.join("driver.out");
    for _ in 0..STARTS {
        let out = File::create(&said).unwrap();
        let mut driver = Command::new(folder().join("chromedriver"))
            .arg("--port=0")
            .env("HOME", own)
            .env("TMPDIR", own)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let port = wait::within(wait::patient(secs(10)), || {
            if let Some(port) = port_said(&fs::read_to_string(&said).ok()?) {
                return Some(Some(port));
            }
            driver.try_wait().unwrap().map(|_| None)
        });
        if let Some(Some(port)) = port {
            return (driver, port);
        }
        end(&mut driver);
        eprintln!("chromedriver: {}", fs::read_to_string(&said).unwrap());
    }
    panic!("chromedriver did not say its port in {STARTS} starts");
}

/// The port in what a driver says when it is ready.
fn port_said(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("successfully on port ")?;
    rest.split('.').next()?.parse().ok()
}

/// Ends a driver and every browser that it started.
fn end(driver: &mut Child) {
    if let Ok(pid) = i32::try_from(driver.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = driver.wait();
}

/// One request of HTTP/1.1, which is all that the driver speaks: its status and the text that its length says.
fn exchange(at: SocketAddr, method: &str, path: &str, body: &str, limit: Duration) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).ok()?;
    Some((status, String::from_utf8(text).ok()?))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // It may be gone already; its group is ended below.
            let path = format!("/session/{}", self.session);
            let _ = exchange(self.at, "DELETE", &path, "", secs(5));
        }
        end(&mut self.driver);
    }
}
