//! Locks by key, between the threads of a process and between processes over one folder: a stripe of files, locked
//! only for the moment in which a write becomes visible.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};

const STRIPES: usize = 64;

/// The stripes; their files are opened when first needed.
pub(crate) struct Locks {
    folder: OwnedFd,
    stripes: Vec<Mutex<Option<File>>>,
}

/// A held stripe. Dropping it lets go.
pub(crate) struct Held<'a> {
    stripe: MutexGuard<'a, Option<File>>,
}

impl Locks {
    pub(crate) fn new(folder: OwnedFd) -> Self {
        Self {
            folder,
            stripes: (0..STRIPES).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Waits for the stripe of this key. Blocks: not for async code.
    pub(crate) fn lock(&self, bucket: &str, key: &str) -> io::Result<Held<'_>> {
        let index = stripe_of(bucket, key);
        let stripe = self.stripes.get(index).ok_or(io::ErrorKind::NotFound)?;
        let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        if stripe.is_none() {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(
                &self.folder,
                format!("{index}"),
                flags,
                Mode::from_raw_mode(0o600),
            )?;
            *stripe = Some(File::from(fd));
        }
        if let Some(file) = stripe.as_ref() {
            file.lock()?;
        }
        Ok(Held { stripe })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.stripe.as_ref()
            && file.unlock().is_err()
        {
            // Closing it is the other way to let go.
            *self.stripe = None;
        }
    }
}

/// FNV-1a: every version of the program must choose the same stripe for a key.
fn stripe_of(bucket: &str, key: &str) -> usize {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bucket.bytes().chain([b'/']).chain(key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    usize::try_from(hash % STRIPES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_of_stripe_never_changes() {
        assert_eq!(
            stripe_of("bucket", "runs/a/run.json"),
            stripe_of("bucket", "runs/a/run.json")
        );
        assert_eq!(stripe_of("", ""), 62);
    }
}
