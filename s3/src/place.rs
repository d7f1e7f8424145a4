//! Where a key lives. An ordinary key is its own path. What no path can say (`a//b`, `a/`, `..`, a segment of more
//! than 255 bytes, or `a` beside `a/b`) lives under an encoded name in a folder of our own: an *odd* place.

/// Longest file name that Linux file systems take, in bytes.
const NAME_MAX: usize = 255;

/// Characters per level of an odd path; with its mark it stays below the 143 bytes that some file systems allow.
const CHUNK: usize = 120;

/// Ends a level of an odd path that continues, and one that is the file. So no folder ever has the name of a file.
const MORE: char = '+';
const END: char = '=';

/// Whether the key, taken as a path, is just that path.
pub(crate) fn is_plain(key: &str) -> bool {
    key.split('/').all(is_plain_segment)
}

fn is_plain_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.len() <= NAME_MAX && !segment.contains('\0')
}

/// Splits a plain key into its folders and its file name.
pub(crate) fn split(key: &str) -> (Vec<&str>, &str) {
    let mut folders: Vec<&str> = key.split('/').collect();
    let name = folders.pop().unwrap_or_default();
    (folders, name)
}

/// The levels of the odd path of a key.
pub(crate) fn odd_levels(key: &str) -> Vec<String> {
    let encoded = percent_encode(key, b"-_.");
    let mut levels = Vec::new();
    let mut rest = encoded.as_str();
    while let (Some(head), Some(tail)) = (rest.get(..CHUNK), rest.get(CHUNK..)) {
        if tail.is_empty() {
            break;
        }
        levels.push(format!("{head}{MORE}"));
        rest = tail;
    }
    levels.push(format!("{rest}{END}"));
    levels
}

/// One name met while reading odd places.
pub(crate) enum OddName<'a> {
    Folder(&'a str),
    File(&'a str),
}

/// Reads a level of an odd path, without its mark; `None` for what is not ours.
pub(crate) fn parse_odd_name(name: &str) -> Option<OddName<'_>> {
    match name.strip_suffix(MORE) {
        Some(part) => Some(OddName::Folder(part)),
        None => name.strip_suffix(END).map(OddName::File),
    }
}

/// The key whose encoded form this is.
pub(crate) fn decode_odd(encoded: &str) -> Option<String> {
    let mut raw = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            raw.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        raw.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(raw).ok()
}

/// Percent-encodes everything but ASCII letters, digits and `keep`.
pub(crate) fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&crate::digest::hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_odd() {
        for key in [
            "a",
            "a/b",
            "a b/ü+%.txt",
            ".hidden/...",
            "a\\b",
            "=/+",
            &"x".repeat(255),
        ] {
            assert!(is_plain(key), "{key:?}");
        }
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert!(!is_plain(key), "{key:?}");
        }
    }

    #[test]
    fn odd_paths_are_safe_and_read_back() {
        let long = "ü/".repeat(341);
        for key in [
            "",
            "/",
            "..",
            "a//b",
            "a/",
            "%2F",
            "a+b=",
            &"x".repeat(CHUNK),
            &"x".repeat(1024),
            &long,
        ] {
            let levels = odd_levels(key);
            let (file, folders) = levels.split_last().unwrap();
            let mut encoded = String::new();
            for folder in folders {
                assert!(is_plain(folder) && folder.len() < 143);
                match parse_odd_name(folder) {
                    Some(OddName::Folder(part)) => encoded.push_str(part),
                    _ => panic!("{folder} is not a folder"),
                }
            }
            assert!(is_plain(file));
            match parse_odd_name(file) {
                Some(OddName::File(part)) => encoded.push_str(part),
                _ => panic!("{file} is not a file"),
            }
            assert_eq!(decode_odd(&encoded).as_deref(), Some(key));
        }
    }
}
