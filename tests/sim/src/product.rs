//! The product's pure code: the very files of its crates, taken in by the build script.

include!(concat!(env!("OUT_DIR"), "/product.rs"));
