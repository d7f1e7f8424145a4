//! The bytes of a whole object from those of its parts.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use s3s::{S3Result, s3_error};

use crate::ops::complete::Checked;
use crate::scratch::Temporary;
use crate::slots::BODY;
use crate::store::{Store, internal};
use crate::uploads::{Part, PartBytes};

/// All parts in one file.
pub(crate) struct Joined {
    pub(crate) file: Temporary,
    /// Keeps parts from being written to the file, until the upload has ended.
    pub(crate) held: Option<File>,
}

/// Joins parts. `None` if their body is not there any more: another request completed the upload.
pub(crate) fn join(store: &Store, folder: &OwnedFd, parts: &[Checked]) -> S3Result<Option<Joined>> {
    if let Some(body) = Store::own_body(folder).map_err(internal)?
        && is_laid_out(folder, parts, &body)?
    {
        return take(store, folder, parts, body).map(Some);
    }
    copy(store, folder, parts)
}

/// Whether the body is these parts and nothing else. Those that are files must fit into their places in it: what was
/// verified in other places may be listed yet, if this Complete is refused.
fn is_laid_out(folder: &OwnedFd, parts: &[Checked], body: &File) -> S3Result<bool> {
    let Some(stride) = Store::stride(folder).map_err(internal)? else {
        return Ok(false);
    };
    let mut end = 0;
    for (index, part) in (0_u64..).zip(parts) {
        let in_place = u64::from(part.number) == index + 1 && end == index * stride && part.size <= stride;
        if !in_place {
            return Ok(false);
        }
        end += part.size;
    }
    Ok(body.metadata().map_err(internal)?.len() <= end)
}

/// The body itself, with the parts that are files copied into it.
fn take(store: &Store, folder: &OwnedFd, parts: &[Checked], body: File) -> S3Result<Joined> {
    let mut at = 0;
    for part in parts {
        if let PartBytes::Own(file) = again(store, folder, part)?.bytes {
            (&body).seek(SeekFrom::Start(at)).map_err(internal)?;
            append(&file, part.size, &body).map_err(internal)?;
        }
        at += part.size;
    }
    let home = folder.try_clone().map_err(internal)?;
    let held = body.try_clone().map_err(internal)?;
    Ok(Joined {
        file: Temporary::at_home(body, home, BODY),
        held: Some(held),
    })
}

/// Copies the parts one behind the other, by `copy_file_range` where the file systems allow it.
fn copy(store: &Store, folder: &OwnedFd, parts: &[Checked]) -> S3Result<Option<Joined>> {
    let file = store.scratch.create().map_err(internal)?;
    for part in parts {
        let copied = match again(store, folder, part)?.bytes {
            PartBytes::Own(own) => append(&own, part.size, file.file()),
            PartBytes::Body(at) => match Store::read_body(folder) {
                Ok(mut body) => body
                    .seek(SeekFrom::Start(at))
                    .and_then(|_| append(&body, part.size, file.file())),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => Err(error),
            },
        };
        copied.map_err(internal)?;
    }
    Ok(Some(Joined { file, held: None }))
}

fn append(from: &File, len: u64, mut to: &File) -> io::Result<()> {
    if io::copy(&mut from.take(len), &mut to)? == len {
        return Ok(());
    }
    Err(ErrorKind::UnexpectedEof.into())
}

/// The part as it is now, which must be as it was checked.
fn again(store: &Store, folder: &OwnedFd, part: &Checked) -> S3Result<Part> {
    let again = store.part(folder, part.number)?;
    let same = again.filter(|again| again.meta.md5 == part.md5 && again.size == part.size);
    same.ok_or_else(|| {
        s3_error!(
            InvalidPart,
            "part {} changed while the upload was completed",
            part.number
        )
    })
}
