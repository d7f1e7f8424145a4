"""Runs a command on a terminal of its own.

`QUESTION ANSWER COMMAND [ARG…]` types an answer when it asks; `--typed COMMAND [ARG…]` types what comes on standard input.
What the command shows goes to standard output; its exit code is that of the command."""

import os
import pty
import sys

# It dies with this, by whatever death.
TIED = ["setpriv", "--pdeathsig", "KILL"]


def typed(command: list[str]) -> int:
    return os.waitstatus_to_exitcode(pty.spawn([*TIED, *command]))


def answered(question: str, answer: str, command: list[str]) -> int | str:
    seen, is_answered = "", False

    def read(terminal: int) -> bytes:
        """What comes next; the answer, once the question is there."""
        nonlocal seen, is_answered
        data = os.read(terminal, 4096)
        seen += data.decode(errors="replace")
        if question in seen and not is_answered:
            is_answered = True
            os.write(terminal, f"{answer}\n".encode())
        return data

    status = pty.spawn([*TIED, *command], read)
    return os.waitstatus_to_exitcode(status) if is_answered else f"it did not ask {question!r}"


if sys.argv[1] == "--typed":
    sys.exit(typed(sys.argv[2:]))
sys.exit(answered(sys.argv[1], sys.argv[2], sys.argv[3:]))
