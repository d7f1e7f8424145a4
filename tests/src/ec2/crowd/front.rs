//! HTTP, as far as the SDK speaks it; what is not answered here is carried to moto and back.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Said, Shared};

/// Longest head of a request, and its longest body.
const HEAD_MAX: usize = 64 * 1024;
const BODY_MAX: usize = 16 * 1024 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    head: String,
    body: Vec<u8>,
    fields: HashMap<String, String>,
}

impl Call {
    /// `None` where the client has gone.
    fn read(stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 || head.len() > HEAD_MAX {
                return Ok(None);
            }
        }
        let length = header(&head, "content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0).min(BODY_MAX)];
        reader.read_exact(&mut body)?;
        let is_form = header(&head, "content-type").is_some_and(|kind| kind.contains("form-urlencoded"));
        let fields = if is_form {
            form(&String::from_utf8_lossy(&body))
        } else {
            HashMap::new()
        };
        Ok(Some(Self { head, body, fields }))
    }

    /// A field of the form; empty where there is none.
    pub(super) fn value(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    /// `Name.1`, `Name.2`, …
    pub(super) fn numbered(&self, name: &str) -> Vec<String> {
        let field = |n: u32| self.fields.get(&format!("{name}.{n}"));
        (1..).map_while(|n| field(n).cloned()).collect()
    }

    /// What is asked for.
    pub(super) fn action(&self) -> &str {
        let named = self.fields.get("Action").map(String::as_str);
        let target = || header(&self.head, "x-amz-target")?.rsplit('.').next();
        named.or_else(target).unwrap_or_default()
    }

    /// Of which service, as the signature names it.
    pub(super) fn service(&self) -> &str {
        let credential = header(&self.head, "authorization").and_then(|text| text.split_once("Credential="));
        let scope = credential.and_then(|(_, scope)| scope.split('/').nth(3));
        scope.unwrap_or_default()
    }

    /// As it came, but for the connection, which carries one answer.
    fn carried(&self) -> Vec<u8> {
        let lines = self.head.trim_end().lines();
        let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let mut text: String = kept.map(|line| format!("{line}\r\n")).collect();
        text.push_str("Connection: close\r\n\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim())
}

fn form(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

/// Percent signs undone.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        // A client that hangs up in the middle is no trouble of ours.
        std::thread::spawn(move || drop(serve(&stream, &shared)));
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let Some(call) = Call::read(stream)? else {
        return Ok(());
    };
    let said = shared.world().answer(&call);
    match said {
        Said::Here(status, text) => write!(
            stream,
            "HTTP/1.1 {status} Crowd\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        ),
        Said::Moto => {
            let mut moto = TcpStream::connect(shared.moto)?;
            moto.write_all(&call.carried())?;
            io::copy(&mut moto, &mut stream).map(|_| ())
        }
    }
}
