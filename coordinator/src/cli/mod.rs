//! cli
pub mod failure;
pub mod out;
pub mod plain;
pub mod view;
