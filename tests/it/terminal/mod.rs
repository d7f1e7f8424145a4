//! What a person sees at a terminal, and what becomes of a run whose terminal is closed.

mod closed;
mod model;
mod view;
