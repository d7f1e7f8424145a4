//! No sequence of events reaches what must not be.
