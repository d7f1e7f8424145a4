//! Where the metadata of a file is: in its extended attribute, or, where that cannot hold it, in a side file named
//! after its inode. File systems without such attributes (and metadata of more than some 4 KiB on ext4) need the
//! side file; since it is written before its file appears under a key, the two are never torn either.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, XattrFlags};

use crate::digest::{Algo, Hasher};
use crate::dirs;
use crate::meta::{self, Extra, Meta, Stamp};

const NAME: &str = "user.mayfly";
/// Attributes are read with one call into a buffer of this size; the kernel allows no attribute above 64 KiB.
const FIRST_READ: usize = 512;
const LARGEST: usize = 64 * 1024;
/// A side file beyond this is damaged: 10,000 parts take about 700 KB.
const SIDE_MAX: u64 = 8 << 20;

/// Reads and writes the metadata of open files.
pub(crate) struct Attrs {
    side: OwnedFd,
}

impl Attrs {
    /// `side` is the folder for side files.
    pub(crate) fn new(side: OwnedFd) -> Self {
        Self { side }
    }

    /// Attaches metadata to a file whose bytes are final.
    pub(crate) fn store(&self, file: &File, meta: &Meta) -> io::Result<()> {
        let stat = file.metadata()?;
        let raw = meta::encode(meta, Stamp::of(&stat))?;
        if rustix::fs::fsetxattr(file, NAME, &raw, XattrFlags::empty()).is_ok() {
            return Ok(());
        }
        self.store_beside(&stat, &raw)?;
        // An older attribute would win over the side file.
        match rustix::fs::fremovexattr(file, NAME) {
            Err(error) if !is_absent(error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn store_beside(&self, stat: &std::fs::Metadata, raw: &[u8]) -> io::Result<()> {
        let name = side_name(stat.ino());
        let temporary = format!("{name}.{}", dirs::random_name()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut side = File::from(rustix::fs::openat(
            &self.side,
            &temporary,
            flags,
            Mode::from_raw_mode(0o600),
        )?);
        side.write_all(raw)?;
        Ok(rustix::fs::renameat(&self.side, &temporary, &self.side, &name)?)
    }

    /// Reads the metadata of a file; `None` if it has none that fits its bytes.
    pub(crate) fn load(&self, file: &File, stat: &std::fs::Metadata) -> io::Result<Option<Meta>> {
        let stamp = Stamp::of(stat);
        match read_attr(file) {
            Ok(raw) => Ok(meta::decode(&raw, stamp)),
            Err(error) if is_absent(error) => self.load_beside(stat.ino(), stamp),
            Err(error) => Err(error.into()),
        }
    }

    fn load_beside(&self, inode: u64, stamp: Stamp) -> io::Result<Option<Meta>> {
        match dirs::open_file(&self.side, &side_name(inode)) {
            Ok(side) => {
                let mut raw = Vec::new();
                side.take(SIDE_MAX).read_to_end(&mut raw)?;
                Ok(meta::decode(&raw, stamp))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the metadata of a file, or makes it by hashing the bytes: a file that came or changed by hand. What was
    /// made is kept for the next time where the file system lets us.
    pub(crate) fn load_or_make(&self, file: &File, stat: &std::fs::Metadata) -> io::Result<Meta> {
        if let Some(meta) = self.load(file, stat)? {
            return Ok(meta);
        }
        let meta = hash_file(file)?;
        if Stamp::of(&file.metadata()?) == Stamp::of(stat) {
            // A folder that we may only read is still readable: then it is hashed again each time.
            let _ = self.store(file, &meta);
        }
        Ok(meta)
    }

    /// Forgets the side file of an inode. The caller still holds the file open, else its number might already be
    /// that of another file.
    pub(crate) fn forget(&self, held: &File) -> io::Result<()> {
        dirs::remove_file(&self.side, &side_name(held.metadata()?.ino()))
    }
}

fn side_name(inode: u64) -> String {
    format!("{inode:x}")
}

fn is_absent(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(error, Errno::NODATA | Errno::NOTSUP)
}

fn read_attr(file: &File) -> rustix::io::Result<Vec<u8>> {
    use rustix::io::Errno;
    let mut raw = vec![0; FIRST_READ];
    let len = match rustix::fs::fgetxattr(file, NAME, raw.as_mut_slice()) {
        Err(Errno::RANGE) => {
            raw.resize(LARGEST, 0);
            rustix::fs::fgetxattr(file, NAME, raw.as_mut_slice())?
        }
        result => result?,
    };
    raw.truncate(len);
    Ok(raw)
}

fn hash_file(file: &File) -> io::Result<Meta> {
    use std::os::unix::fs::FileExt;
    let mut hasher = Hasher::new(&[Algo::Crc64Nvme]);
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        let len = file.read_at(&mut buffer, offset)?;
        let Some(read) = buffer.get(..len).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        offset += read.len() as u64;
    }
    let mut digests = hasher.finish();
    Ok(Meta {
        md5: digests.md5,
        part_count: 0,
        sum: digests.sums.pop(),
        extra: Extra::default(),
    })
}
