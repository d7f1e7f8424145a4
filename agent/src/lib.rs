//! The agent: the program on every node.

pub mod config;
