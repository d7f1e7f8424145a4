"""Runs a command on a terminal of its own, and types an answer when it asks: `QUESTION ANSWER COMMAND [ARG…]`.

What it shows goes to standard output; its exit code is that of the command."""

import os
import pty
import sys

question, answer, *command = sys.argv[1:]
seen, is_answered = "", False


def read(terminal: int) -> bytes:
    """What comes next; the answer, once the question is there."""
    global seen, is_answered
    data = os.read(terminal, 4096)
    seen += data.decode(errors="replace")
    if question in seen and not is_answered:
        is_answered = True
        os.write(terminal, f"{answer}\n".encode())
    return data


status = pty.spawn(command, read)
if not is_answered:
    sys.exit(f"it did not ask {question!r}")
sys.exit(os.waitstatus_to_exitcode(status))
