//! Consul: the client against a real one and against liars, and what nodes, workers and coordinators do with it.

mod client;
mod liars;
