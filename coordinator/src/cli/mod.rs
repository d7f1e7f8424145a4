//! cli
pub mod plain;
