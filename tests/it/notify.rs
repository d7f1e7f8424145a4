//! A webhook is told of a run, in order, with a signature that holds; nothing of the run waits for one that does not answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use mayfly_coordinator::notify::signature;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the test";

/// What was posted: the signature and the body.
pub(crate) struct Posted {
    signature: String,
    pub(crate) body: String,
}

/// Takes posts until the test is over.
pub(crate) fn listener() -> (String, mpsc::Receiver<Posted>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=x", socket.local_addr().unwrap());
    let (sender, posted) = mpsc::channel();
    // It ends with the test's process: nobody tells it to.
    std::thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            if sender.send(take(stream)).is_err() {
                return;
            }
        }
    });
    (url, posted)
}

fn take(mut stream: TcpStream) -> Posted {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut signature) = (0, String::new());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    assert!(request.starts_with("POST /hook?token=x "), "{request}");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "x-mayfly-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        .unwrap();
    Posted {
        signature,
        body: String::from_utf8(body).unwrap(),
    }
}

#[test]
fn a_run_is_told_of_from_its_start_to_its_end() {
    let _slot = slots::take();
    let (mut home, repo) = (Home::light(), Repo::of_jobs());
    home.set_environment(&[("MAYFLY_NOTIFY_SECRET", SECRET)]);
    let (url, posted) = listener();
    // Takes connections and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/", deaf.local_addr().unwrap());
    let job = Job::at_gate("told-of", &home, &repo, "ends.py")
        .args(&["raise"])
        .set("notify", json!([url, silent]));
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.wait(secs(120)).exited(1);
    let receipt = run.assert_closed("job-failed");
    let next = || posted.recv_timeout(Duration::from_secs(5)).expect("a post");
    let told = [next(), next()].map(|posted| {
        let at = posted.signature.split(['=', ',']).nth(1).unwrap();
        assert_eq!(
            posted.signature,
            signature(SECRET, at.parse().unwrap(), &posted.body)
        );
        serde_json::from_str::<Value>(&posted.body).unwrap()
    });
    assert_eq!([&told[0]["event"], &told[1]["event"]], ["started", "ended"]);
    assert_eq!(told[0]["outcome"], Value::Null);
    assert_eq!(told[1]["outcome"], "job-failed");
    assert_eq!(told[1]["reason"], receipt["ended"]["reason"]);
    assert!(
        told.iter()
            .all(|told| told["run"] == run.id.as_str() && told["schema"] == 1),
        "{told:?}"
    );
    let record = run.record().unwrap().to_string();
    assert!(!record.contains(SECRET), "the secret is in the record");
}
