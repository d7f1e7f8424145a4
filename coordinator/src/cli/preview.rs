//! `preview`: the first rows of a Parquet file on standard input, for the page. It is a process of its own, since such a
//! file says how large its parts are, and a job may have written any number: what is too much ends this process alone.

mod unpack;

use std::io::{Read as _, stdin};
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::resource::{Resource, setrlimit};
use parquet::errors::Result as Parsed;
use parquet::file::reader::FileReader as _;
use parquet::record::Field;
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::out;
use unpack::Table;

/// Largest file that is looked into, in bytes.
pub(crate) const FILE_MAX: u64 = 32 << 20;
/// Address space, in bytes: the file, a page of each column, and what every process maps without using it.
const MEMORY_MAX: u64 = 1 << 30;
/// Processor time, in seconds.
const CPU_MAX: u64 = 10;
/// Rows that are read.
const ROWS: usize = 50;
/// Columns that are read.
const COLUMNS: usize = 60;
/// Characters of a cell.
const CELL: usize = 200;

/// The beginning of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Names of the first columns, and their types.
    pub(crate) columns: Vec<(String, String)>,
    /// The first rows, as text; `None` is no value.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// Of the whole table.
    pub(crate) all_columns: usize,
    /// Of the whole table.
    pub(crate) all_rows: u64,
}

/// Prints the head of a file as JSON.
///
/// # Errors
/// It is no file that can be read, in words for a person.
pub(crate) fn run() -> Result<u8, Failure> {
    let bound = |resource, max| setrlimit(resource, max, max);
    bound(Resource::RLIMIT_AS, MEMORY_MAX)
        .and_then(|()| bound(Resource::RLIMIT_CPU, CPU_MAX))
        .and_then(|()| bound(Resource::RLIMIT_CORE, 0))
        .map_err(|e| Failure::chain("limit this process", &e))?;
    let mut bytes = Vec::new();
    stdin()
        .lock()
        .take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::chain("read standard input", &e))?;
    let head = head(bytes.into()).map_err(|e| Failure::chain("read the file", &e))?;
    out::json(&head)?;
    Ok(0)
}

/// The head of a table.
fn head(file: Bytes) -> Parsed<Head> {
    let reader = Table::new(file)?;
    let metadata = reader.metadata().file_metadata();
    let whole = metadata.schema();
    let fields: Vec<Arc<Type>> = whole.get_fields().iter().take(COLUMNS).cloned().collect();
    let columns = fields
        .iter()
        .map(|field| (field.name().to_owned(), kind(field)))
        .collect();
    let shown = Type::group_type_builder(whole.name())
        .with_fields(fields)
        .build()?;
    let rows: Parsed<Vec<_>> = reader
        .get_row_iter(Some(shown))?
        .take(ROWS)
        .map(|row| Ok(row?.get_column_iter().map(|(_, field)| cell(field)).collect()))
        .collect();
    Ok(Head {
        columns,
        rows: rows?,
        all_columns: whole.get_fields().len(),
        all_rows: u64::try_from(metadata.num_rows()).unwrap_or_default(),
    })
}

/// A word for the type of a column.
fn kind(field: &Type) -> String {
    if field.is_group() {
        return "nested".to_owned();
    }
    let word = match field.get_basic_info().converted_type() {
        parquet::basic::ConvertedType::NONE => field.get_physical_type().to_string(),
        converted => converted.to_string(),
    };
    word.to_ascii_lowercase()
}

fn cell(field: &Field) -> Option<String> {
    let text = match field {
        Field::Null => return None,
        Field::Str(text) => text.clone(),
        // The library writes -4.0 as -4E0.
        Field::Double(number) => format!("{number:?}"),
        Field::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    };
    Some(text.chars().take(CELL).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_told() {
        for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", &[0; 4096]] {
            assert!(head(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
