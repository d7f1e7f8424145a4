//! Tables whose pages are packed with gzip or Zstandard. The library takes its decoder of Zstandard from C, and trusts a
//! page's own word on its size; these are in Rust and take no more than a page may have.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use ruzstd::decoding::StreamingDecoder;

/// Largest page, in bytes; writers begin another one at a few MiB.
const PAGE_MAX: u64 = 128 << 20;

/// A file, whatever its pages are packed with.
pub(super) struct Table {
    bytes: Bytes,
    reader: SerializedFileReader<Bytes>,
}

impl Table {
    pub(super) fn new(bytes: Bytes) -> Parsed<Self> {
        let reader = SerializedFileReader::new(bytes.clone())?;
        Ok(Self { bytes, reader })
    }
}

impl FileReader for Table {
    fn metadata(&self) -> &ParquetMetaData {
        self.reader.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Parsed<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(Group {
            bytes: &self.bytes,
            reader: self.reader.get_row_group(i)?,
        }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Parsed<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct Group<'a> {
    bytes: &'a Bytes,
    reader: Box<dyn RowGroupReader + 'a>,
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.reader.metadata()
    }

    fn num_columns(&self) -> usize {
        self.reader.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Parsed<Box<dyn PageReader>> {
        let column = self.metadata().column(i);
        let packing = match column.compression() {
            Compression::GZIP(_) => Packing::Gzip,
            Compression::ZSTD(_) => Packing::Zstandard,
            // Or one that it has no decoder for, and says so.
            _ => return self.reader.get_column_page_reader(i),
        };
        // Taken for plain ones, pages are given out as they are stored.
        let stored = column.clone().into_builder();
        let stored = stored.set_compression(Compression::UNCOMPRESSED).build()?;
        let rows = usize::try_from(self.metadata().num_rows())?;
        let pages = SerializedPageReader::new(self.bytes.clone().into(), &stored, rows, None)?;
        Ok(Box::new(Pages { pages, packing }))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.reader.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Parsed<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// Pages of a column, unpacked as they are read.
struct Pages {
    pages: SerializedPageReader<Bytes>,
    packing: Packing,
}

impl Iterator for Pages {
    type Item = Parsed<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Parsed<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.packing.unpacked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Parsed<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Parsed<()> {
        self.pages.skip_next_page()
    }
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstandard,
}

impl Packing {
    fn unpacked(self, mut page: Page) -> Parsed<Page> {
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = self.unpack(buf, 0)?,
            Page::DataPageV2 {
                buf,
                is_compressed,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } if *is_compressed => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                *buf = self.unpack(buf, usize::try_from(levels)?)?;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(page)
    }

    /// All but its first bytes, which are never packed.
    fn unpack(self, packed: &Bytes, plain: usize) -> Parsed<Bytes> {
        let short = || ParquetError::General("a page is shorter than its levels".to_owned());
        let (levels, packed) = packed.split_at_checked(plain).ok_or_else(short)?;
        let mut whole = levels.to_vec();
        // A page without a value has none to unpack.
        if !packed.is_empty() {
            match self {
                Self::Gzip => bounded(MultiGzDecoder::new(packed), &mut whole)?,
                Self::Zstandard => {
                    let from = StreamingDecoder::new(packed);
                    bounded(from.map_err(|e| ParquetError::External(Box::new(e)))?, &mut whole)?;
                }
            }
        }
        Ok(whole.into())
    }
}

fn bounded(from: impl Read, to: &mut Vec<u8>) -> Parsed<()> {
    let read = from.take(PAGE_MAX + 1).read_to_end(to)?;
    if read as u64 > PAGE_MAX {
        return Err(ParquetError::General(format!(
            "a page has more than {PAGE_MAX} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_page_that_grows_without_end_is_given_up() {
        let unpacked = |size: u64| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::copy(&mut std::io::repeat(0).take(size), &mut packed).unwrap();
            let page: Bytes = packed.finish().unwrap().into();
            Packing::Gzip.unpack(&page, 0)
        };
        assert_eq!(unpacked(PAGE_MAX).unwrap().len() as u64, PAGE_MAX);
        assert!(unpacked(PAGE_MAX + 1).is_err());
    }

    #[test]
    fn levels_are_never_packed() {
        let mut packed = flate2::write::GzEncoder::new(b"LEVELS".to_vec(), flate2::Compression::fast());
        packed.write_all(b"values").unwrap();
        let page: Bytes = packed.finish().unwrap().into();
        assert_eq!(&Packing::Gzip.unpack(&page, 6).unwrap()[..], b"LEVELSvalues");
        assert_eq!(&Packing::Gzip.unpack(&page.slice(..6), 6).unwrap()[..], b"LEVELS");
        assert!(Packing::Gzip.unpack(&page, 1 << 20).is_err());
    }
}
