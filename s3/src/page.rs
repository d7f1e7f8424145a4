//! One page of a listing: keys and common prefixes, in order, up to a limit.

use std::fs::Metadata;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::{S3Result, s3_error};

use crate::meta::Meta;
use crate::store::{Store, internal};
use crate::walk::{self, After, Found, Walk};

/// S3 lists no more than this at once.
pub(crate) const PAGE_MAX: usize = 1000;

/// What to list.
pub(crate) struct Query<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) after: After,
    pub(crate) max: usize,
}

/// One line of a listing.
pub(crate) enum Row {
    Object(Box<Listed>),
    Prefix(String),
}

/// An object in a listing.
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) stat: Metadata,
    pub(crate) meta: Meta,
}

impl Row {
    /// Where the next page starts if this is the last line of one.
    pub(crate) fn mark(&self) -> After {
        match self {
            Self::Object(object) => After::Key(object.key.clone()),
            Self::Prefix(prefix) => After::Prefix(prefix.clone()),
        }
    }
}

/// A page, and whether more follows.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    pub(crate) truncated: bool,
}

/// The common prefix that a key counts for, if any.
pub(crate) fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

impl Store {
    /// Reads a page. Blocks.
    pub(crate) fn page(&self, query: &Query<'_>) -> S3Result<Page> {
        let folder = self.bucket(query.bucket)?;
        let mut page = Page {
            rows: Vec::new(),
            truncated: false,
        };
        if query.max == 0 {
            return Ok(page);
        }
        let mut after = query.after.clone();
        let mut keys = Keys::new(self, folder, query).map_err(internal)?;
        while let Some(found) = keys.next(&after).map_err(internal)? {
            let Some(row) = self.row(query, &found)? else {
                after = After::Key(found.key);
                continue;
            };
            if page.rows.len() >= query.max {
                page.truncated = true;
                break;
            }
            after = row.mark();
            page.rows.push(row);
        }
        Ok(page)
    }

    fn row(&self, query: &Query<'_>, found: &Found) -> S3Result<Option<Row>> {
        if let Some(common) = common_prefix(&found.key, query.prefix, query.delimiter) {
            // A marker of the old API may be a common prefix: that one was listed.
            let listed = matches!(&query.after, After::Key(after) if after == common);
            return Ok((!listed).then(|| Row::Prefix(common.to_owned())));
        }
        let Some(file) = found.open(self, query.bucket).map_err(internal)? else {
            return Ok(None);
        };
        let object = self.load(file).map_err(internal)?;
        Ok(Some(Row::Object(Box::new(Listed {
            key: found.key.clone(),
            stat: object.stat,
            meta: object.meta,
        }))))
    }
}

/// Plain and odd keys merged.
struct Keys<'a> {
    plain: Walk<'a>,
    next_plain: Option<Found>,
    odd: Vec<Found>,
}

impl<'a> Keys<'a> {
    fn new(store: &Store, folder: std::os::fd::OwnedFd, query: &Query<'a>) -> std::io::Result<Self> {
        Ok(Self {
            plain: Walk::new(folder, query.prefix, &query.after)?,
            next_plain: None,
            odd: walk::odd_keys(&store.odd, query.bucket, query.prefix, &query.after)?,
        })
    }

    fn next(&mut self, after: &After) -> std::io::Result<Option<Found>> {
        if self
            .next_plain
            .as_ref()
            .is_none_or(|found| !after.admits(&found.key))
        {
            self.next_plain = self.plain.next(after)?;
        }
        while self.odd.last().is_some_and(|found| !after.admits(&found.key)) {
            self.odd.pop();
        }
        let odd_first = match (&self.next_plain, self.odd.last()) {
            (Some(plain), Some(odd)) => odd.key < plain.key,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        Ok(if odd_first {
            self.odd.pop()
        } else {
            self.next_plain.take()
        })
    }
}

/// Writes the place where the next page starts.
pub(crate) fn to_token(mark: &After) -> Option<String> {
    let text = match mark {
        After::Start => return None,
        After::Key(key) => format!("k{key}"),
        After::Prefix(prefix) => format!("p{prefix}"),
    };
    Some(URL_SAFE_NO_PAD.encode(text))
}

/// Reads what [`to_token`] wrote.
pub(crate) fn from_token(token: &str) -> S3Result<After> {
    let text = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|raw| String::from_utf8(raw).ok())
        .unwrap_or_default();
    match text.split_at_checked(1) {
        Some(("k", key)) => Ok(After::Key(key.to_owned())),
        Some(("p", prefix)) => Ok(After::Prefix(prefix.to_owned())),
        _ => Err(s3_error!(
            InvalidArgument,
            "the continuation token provided is incorrect"
        )),
    }
}
