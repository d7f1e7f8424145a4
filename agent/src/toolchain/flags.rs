use std::path::PathBuf;

use super::{Request, SPARK_VERSION, default_cache};
use crate::supervise::Keeper;

/// Finds or installs Java, Python and Spark, once.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Where to install.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Version of Spark.
    #[arg(long, default_value = SPARK_VERSION)]
    spark: String,
    /// Steps as JSON lines; the last line is the result.
    #[arg(long)]
    pub json: bool,
    /// Only look what is there, and install nothing; one part a line.
    #[arg(long)]
    pub look: bool,
    /// With --look: the Python that a job names.
    #[arg(long, requires = "look", default_value = "", hide_default_value = true)]
    python: String,
}

impl Flags {
    /// What they ask for.
    #[must_use]
    pub fn request(self, keeper: Keeper) -> Request {
        Request {
            cache: self.cache.unwrap_or_else(default_cache),
            spark: self.spark,
            python: self.python,
            keeper,
        }
    }
}
