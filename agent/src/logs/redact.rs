//! Takes secrets out of lines: those we know, in the forms they may appear in, and those that look like one.

use std::collections::HashMap;

use data_encoding::BASE64;

use crate::supervise::{LINE_MAX_BYTES, Stream};

const MASK: &str = "[redacted]";
/// A shorter one would take innocent text out with it.
const SECRET_MIN: usize = 8;

/// Takes secrets out of lines. A line that was cut for its length is joined with the next one for as long as a secret
/// could lie across the cut.
pub struct Redactor {
    /// Longest first, so that one inside another does not leave the rest of it.
    secrets: Vec<String>,
    longest: usize,
    held: HashMap<Stream, String>,
}

impl Redactor {
    /// Knows these secrets, also in base64 and percent-encoded.
    #[must_use]
    pub fn new(known: &[String]) -> Self {
        let mut redactor = Self {
            secrets: Vec::new(),
            longest: 64,
            held: HashMap::new(),
        };
        known.iter().for_each(|secret| redactor.learn(secret));
        redactor
    }

    /// Learns one more secret.
    pub fn learn(&mut self, secret: &str) {
        if secret.len() < SECRET_MIN {
            return;
        }
        self.secrets.extend(forms(secret));
        self.secrets.retain(|s| s.len() >= SECRET_MIN);
        self.secrets
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.secrets.dedup();
        self.longest = self.secrets.first().map_or(0, String::len).max(64);
    }

    /// The lines that may be kept now, without secrets.
    pub fn take(&mut self, stream: Stream, text: String) -> Vec<String> {
        let cut = text.len() >= LINE_MAX_BYTES;
        let whole = match self.held.remove(&stream) {
            Some(mut held) => {
                held.push_str(&text);
                held
            }
            None => text,
        };
        let mut clean = self.clean(&whole);
        if cut {
            let mut at = clean.len().saturating_sub(self.longest);
            while !clean.is_char_boundary(at) {
                at -= 1;
            }
            self.held.insert(stream, clean.split_off(at));
        }
        vec![clean]
    }

    /// What was held back, when no more lines come.
    pub fn finish(&mut self) -> Vec<(Stream, String)> {
        self.held.drain().collect()
    }

    fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), MASK);
            }
        }
        if clean.contains("AKIA") || clean.contains("ASIA") {
            clean = mask_key_ids(&clean);
        }
        if clean.contains("://") {
            clean = mask_userinfo(&clean);
        }
        clean
    }
}

/// AWS access key ids: `AKIA` or `ASIA` and 16 capital letters or digits.
fn mask_key_ids(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = [rest.find("AKIA"), rest.find("ASIA")].into_iter().flatten().min() {
        let (before, from) = rest.split_at(at);
        let length = from
            .bytes()
            .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            .count();
        let (id, after) = from.split_at(length);
        clean.push_str(before);
        clean.push_str(if length == 20 { MASK } else { id });
        rest = after;
    }
    clean + rest
}

/// `https://user:password@host` without what is before the `@`.
fn mask_userinfo(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, from) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = from
            .find(|c: char| c == '/' || c.is_whitespace() || "\"'<>?#".contains(c))
            .unwrap_or(from.len());
        let (authority, after) = from.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => clean.extend([MASK, "@", host]),
            None => clean.push_str(authority),
        }
        rest = after;
    }
    clean + rest
}

/// As it is, percent-encoded, and in base64.
fn forms(secret: &str) -> [String; 3] {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    // What base64 makes of the end depends on what follows, so the last group is left off.
    let base64 = BASE64.encode(secret.as_bytes());
    let stable = base64.get(..secret.len() / 3 * 4).unwrap_or_default().to_owned();
    [secret.to_owned(), encoded, stable]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cret+key/with=signs";

    fn clean(text: &str) -> String {
        Redactor::new(&[SECRET.into()])
            .take(Stream::Job, text.into())
            .concat()
    }

    #[test]
    fn learning_the_same_again_and_again_keeps_it_once() {
        let mut redactor = Redactor::new(&["sesame-open-up".into()]);
        let once = redactor.secrets.len();
        (0..50).for_each(|_| redactor.learn("sesame-open-up"));
        assert_eq!(redactor.secrets.len(), once);
    }

    #[test]
    fn known_secrets_go_in_each_of_their_forms() {
        let base64 = BASE64.encode(SECRET.as_bytes());
        for form in [SECRET, "s3cret%2Bkey%2Fwith%3Dsigns", &base64] {
            let out = clean(&format!("a {form} b"));
            assert!(!out.contains(form) && out.contains(MASK), "{out}");
        }
        assert_eq!(clean("nothing here"), "nothing here");
    }

    #[test]
    fn what_looks_like_a_secret_goes_too() {
        assert_eq!(clean("id AKIAABCDEFGHIJKLMNOP."), "id [redacted].");
        assert_eq!(clean("AKIA is short, ASIAX too"), "AKIA is short, ASIAX too");
        assert_eq!(
            clean("clone https://me:pw@host.x/r and http://h/p?a@b"),
            "clone https://[redacted]@host.x/r and http://h/p?a@b"
        );
    }

    #[test]
    fn a_secret_across_a_cut_is_found() {
        let mut redactor = Redactor::new(&[SECRET.into()]);
        let (head, tail) = SECRET.split_at(9);
        let mut out = redactor.take(Stream::Job, "x".repeat(LINE_MAX_BYTES - head.len()) + head);
        out.extend(redactor.take(Stream::Job, format!("{tail} rest")));
        let all = out.concat();
        assert!(
            !all.contains(head) && all.ends_with("[redacted] rest"),
            "{}",
            &all[all.len() - 60..]
        );
        assert!(redactor.finish().is_empty());
    }

    #[test]
    fn streams_are_not_mixed_and_nothing_held_is_lost() {
        let mut redactor = Redactor::new(&[]);
        let long = "y".repeat(LINE_MAX_BYTES);
        let first = redactor.take(Stream::Job, long.clone()).concat();
        assert_eq!(redactor.take(Stream::Agent, "other".into()), ["other"]);
        let held = redactor.finish();
        assert_eq!(first + &held[0].1, long);
    }
}
