//! The keys of a bucket in the order of their bytes, from any point on, without reading what lies before it.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::dirs::{self, Kind};
use crate::place::{self, OddName};
use crate::store::Store;

/// Names held per folder. A larger folder is read again when these are used up, so memory stays bounded.
const HELD: usize = 4096;

/// Where a listing starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Start,
    /// Behind this key.
    Key(String),
    /// Behind all keys that begin so.
    Prefix(String),
}

impl After {
    /// Whether a key lies in what is to be listed.
    pub(crate) fn admits(&self, key: &str) -> bool {
        match self {
            Self::Start => true,
            Self::Key(after) => key > after.as_str(),
            Self::Prefix(after) => key > after.as_str() && !key.starts_with(after.as_str()),
        }
    }

    /// Whether some key that begins with `start` may.
    fn admits_below(&self, start: &str) -> bool {
        match self {
            Self::Start => true,
            Self::Key(after) => start > after.as_str() || after.starts_with(start),
            Self::Prefix(after) => {
                (start > after.as_str() && !start.starts_with(after.as_str()))
                    || (after.starts_with(start) && after != start)
            }
        }
    }
}

/// A key that was found. Its file is opened only if it is listed.
pub(crate) struct Found {
    pub(crate) key: String,
    /// The folder and the name of a plain key.
    plain: Option<(Rc<OwnedFd>, String)>,
}

impl Found {
    /// `None` if it is gone by now.
    pub(crate) fn open(&self, store: &Store, bucket: &str) -> io::Result<Option<File>> {
        let Some((folder, name)) = &self.plain else {
            return store.open_odd(bucket, &self.key);
        };
        match dirs::open_file(&**folder, name) {
            Ok(file) => Ok(Some(file)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One folder on the way down.
struct Level {
    folder: Rc<OwnedFd>,
    /// The keys below begin with this.
    start: String,
    /// Names still to visit, last one first; folders end with `/`, for that is how their keys sort.
    names: Vec<String>,
    /// The last name that was read, if the folder holds more.
    more_after: Option<String>,
}

/// Walks the plain keys.
pub(crate) struct Walk<'a> {
    prefix: &'a str,
    levels: Vec<Level>,
}

impl<'a> Walk<'a> {
    /// Starts at a bucket's folder.
    pub(crate) fn new(bucket: OwnedFd, prefix: &'a str, after: &After) -> io::Result<Self> {
        let mut walk = Self {
            prefix,
            levels: Vec::new(),
        };
        walk.enter(bucket, String::new(), after)?;
        Ok(walk)
    }

    fn enter(&mut self, folder: OwnedFd, start: String, after: &After) -> io::Result<()> {
        let mut level = Level {
            folder: Rc::new(folder),
            start,
            names: Vec::new(),
            more_after: None,
        };
        level.read(self.prefix, after)?;
        self.levels.push(level);
        Ok(())
    }

    /// The next key that `after` admits; it may have moved on since the last call.
    pub(crate) fn next(&mut self, after: &After) -> io::Result<Option<Found>> {
        while let Some(level) = self.levels.last_mut() {
            // All of this folder may have been closed by a common prefix.
            let open = level.start.is_empty() || after.admits_below(&level.start);
            let name = if open {
                level.next_name(self.prefix, after)?
            } else {
                None
            };
            let Some(name) = name else {
                self.levels.pop();
                continue;
            };
            let key = format!("{}{name}", level.start);
            if let Some(folder) = name.strip_suffix('/') {
                if !after.admits_below(&key) {
                    continue;
                }
                match dirs::open_dir(&*level.folder, folder) {
                    Ok(inner) => self.enter(inner, key, after)?,
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                }
            } else if after.admits(&key) {
                let plain = Some((level.folder.clone(), name));
                return Ok(Some(Found { key, plain }));
            }
        }
        Ok(None)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl Level {
    fn next_name(&mut self, prefix: &str, after: &After) -> io::Result<Option<String>> {
        if self.names.is_empty() && self.more_after.is_some() {
            self.read(prefix, after)?;
        }
        Ok(self.names.pop())
    }

    /// Reads the smallest names that are wanted and not visited yet.
    fn read(&mut self, prefix: &str, after: &After) -> io::Result<()> {
        let (start, read) = (&self.start, self.more_after.take());
        let mut smallest: BinaryHeap<String> = BinaryHeap::new();
        let mut more = false;
        let mut key = start.clone();
        dirs::for_each(&*self.folder, |name, kind| {
            key.truncate(start.len());
            key.push_str(name);
            if kind == Kind::Folder {
                key.push('/');
            }
            let wanted = match kind {
                Kind::File => key.starts_with(prefix) && after.admits(&key),
                Kind::Folder => {
                    (key.starts_with(prefix) || prefix.starts_with(&key)) && after.admits_below(&key)
                }
            };
            let Some(name) = key.get(start.len()..).filter(|_| wanted) else {
                return;
            };
            if read.as_deref().is_some_and(|read| name <= read) {
                return;
            }
            if smallest.len() >= HELD {
                more = true;
                if smallest.peek().is_some_and(|largest| name >= largest.as_str()) {
                    return;
                }
                smallest.pop();
            }
            smallest.push(name.to_owned());
        })?;
        self.names = smallest.into_sorted_vec();
        self.more_after = self.names.last().filter(|_| more).cloned();
        self.names.reverse();
        Ok(())
    }
}

/// All odd keys of a bucket that begin with `prefix`, last one first. They are few: each is an exception.
pub(crate) fn odd_keys(odd: &OwnedFd, bucket: &str, prefix: &str, after: &After) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    match dirs::open_dir(odd, bucket) {
        Ok(folder) => collect_odd(&folder, "", &mut |key| {
            if key.starts_with(prefix) && after.admits(&key) {
                found.push(Found { key, plain: None });
            }
        })?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    found.sort_unstable_by(|a, b| b.key.cmp(&a.key));
    Ok(found)
}

fn collect_odd(folder: &OwnedFd, encoded: &str, each: &mut dyn FnMut(String)) -> io::Result<()> {
    let mut names = Vec::new();
    dirs::for_each(folder, |name, kind| names.push((name.to_owned(), kind)))?;
    for (name, kind) in names {
        match (place::parse_odd_name(&name), kind) {
            (Some(OddName::Folder(part)), Kind::Folder) => match dirs::open_dir(folder, &name) {
                Ok(inner) => collect_odd(&inner, &format!("{encoded}{part}"), each)?,
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            },
            (Some(OddName::File(part)), Kind::File) => {
                place::decode_odd(&format!("{encoded}{part}")).map(&mut *each);
            }
            _ => {}
        }
    }
    Ok(())
}
