//! The tracebacks of notebooks, as IPython prints them:
//!
//! ```text
//! ValueError                Traceback (most recent call last)
//! Cell In[2], line 1
//! ----> 1 count("x")
//!
//! File ~/code/months.py:6, in count(month)
//!       4 …
//!
//! ValueError: no such month
//! ```

use super::trace::{CELL, Frame, Traceback, message};

/// How they begin, after the name of the exception; Python's own has a colon.
const BEGIN: &str = " Traceback (most recent call last)";

/// The name of the exception, where a traceback begins in this line.
#[must_use]
pub(super) fn begins(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_suffix(BEGIN)?.trim_end();
    let is_name = |c: char| c.is_alphanumeric() || "._".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// Those that are in these lines, in order.
pub(super) fn tracebacks(all: &[String]) -> impl Iterator<Item = Traceback> {
    let lines = all.iter().enumerate();
    lines.filter_map(|(at, line)| traceback(all, at, begins(line)?))
}

fn traceback(lines: &[String], at: usize, name: &str) -> Option<Traceback> {
    let said = |line: &String| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
    };
    let index = at + 1 + lines.get(at + 1..)?.iter().position(said)?;
    let first = lines.get(index)?.strip_prefix(name)?.trim_start_matches(": ");
    let (message, end) = message(lines, index, first);
    Some(Traceback {
        at,
        frames: lines
            .get(at + 1..index)?
            .iter()
            .filter_map(|line| frame(line))
            .collect(),
        kind: name.to_owned(),
        message,
        end,
    })
}

/// `Cell In[2], line 1` or `File ~/code/months.py:6, in count(month)`.
fn frame(line: &str) -> Option<Frame> {
    if let Some(rest) = line.strip_prefix("Cell In[") {
        let (cell, rest) = rest.split_once("], line ")?;
        let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        return Some(Frame {
            file: format!("{CELL}{cell}"),
            line: number.parse().ok()?,
            function: String::new(),
        });
    }
    let rest = line.strip_prefix("File ")?;
    let (place, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    let (file, number) = place.rsplit_once(':')?;
    Some(Frame {
        file: file.to_owned(),
        line: number.parse().ok()?,
        function: function.split('(').next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::trace::Said;

    fn said(text: &str) -> Said {
        Said::of(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_cell_that_failed_is_named_and_what_it_said() {
        let said = said(
            "one
An error occurred while executing the following cell:
------------------
1/0
------------------

---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
Cell In[2], line 1
----> 1 1/0

ZeroDivisionError: division by zero
",
        );
        let outer = said.outer().unwrap();
        assert_eq!(outer.headline(), "ZeroDivisionError: division by zero");
        assert_eq!(outer.place().unwrap(), "cell 2, line 1");
        assert!(said.last.starts_with("ZeroDivisionError  "));
    }

    #[test]
    fn of_two_that_follow_each_other_the_second_one_ended_it_and_its_own_place_is_told() {
        let said = said(
            "KeyError                                  Traceback (most recent call last)
Cell In[1], line 3
      2 try:
----> 3     months['x']

KeyError: 'x'

During handling of the above exception, another exception occurred:

ValueError                                Traceback (most recent call last)
Cell In[1], line 5
----> 5     count('x')

File /n/nodes/r/master-1/code/lib/months.py:6, in count(month)
      4 def count(month):
----> 6     raise ValueError(month)

File /c/lib/python3.11/site-packages/pandas/core/frame.py:12, in check(self)

ValueError: x
of two lines",
        );
        let outer = said.outer().unwrap();
        assert_eq!(outer.message, "x\nof two lines");
        assert_eq!(outer.place().unwrap(), "lib/months.py:6 in count");
        assert_eq!(said.tracebacks.len(), 2);
        assert_eq!(said.tracebacks[0].message, "'x'");
    }
}
