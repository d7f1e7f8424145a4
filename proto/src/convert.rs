//! Wire values into checked values. A handler calls these first and passes nothing unchecked on.
