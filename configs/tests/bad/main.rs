//! What is refused: every kind of bad input has its case, with the line and the words of its error.

mod hostile;
mod keys;
mod maps;
mod names;
mod rig;
mod shown;
mod values;
mod yaml;
