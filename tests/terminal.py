"""Runs a command on a terminal of its own.

`QUESTION ANSWER COMMAND [ARG…]` types an answer when it asks; `--typed COMMAND [ARG…]` types what comes on standard input;
`--screen COLUMNSxROWS COMMAND [ARG…]` does so on a terminal of that size, which it gets another one of, or is closed.
What the command shows goes to standard output; its exit code is that of the command."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios

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


# What sets the size of a terminal, among the keys and in what is shown: `CSI 8 ; rows ; columns t`.
RESIZE = re.compile(rb"\x1b\[8;(\d+);(\d+)t")


def resize(terminal: int, rows: int, columns: int):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def show(data: bytes):
    while data:
        data = data[os.write(1, data) :]


def press(terminal: int, keys: bytes):
    """Types; a new size is told to whoever reads what is shown, where it came into force."""
    parts = RESIZE.split(keys)
    os.write(terminal, parts[0])
    for rows, columns, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        resize(terminal, int(rows), int(columns))
        show(b"\x1b[8;%s;%st" % (rows, columns))
        os.write(terminal, rest)


def screen(size: str, command: list[str]) -> int:
    """The end of standard input closes the terminal, whose command hears of it by SIGHUP."""
    columns, rows = map(int, size.split("x"))
    child, terminal = pty.fork()
    if child == 0:
        resize(0, rows, columns)
        os.execvp(TIED[0], [*TIED, *command])
    while True:
        readable = select.select([terminal, 0], [], [])[0]
        try:
            # What was shown before a key is pressed comes before it.
            data = os.read(terminal, 1 << 16) if terminal in readable else None
        except OSError:
            data = b""  # nobody has it open any more
        if data:
            show(data)
        elif data is not None:
            break
        elif keys := os.read(0, 4096):
            press(terminal, keys)
        else:
            os.close(terminal)
            break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if sys.argv[1] == "--screen":
    sys.exit(screen(sys.argv[2], sys.argv[3:]))
if sys.argv[1] == "--typed":
    sys.exit(typed(sys.argv[2:]))
sys.exit(answered(sys.argv[1], sys.argv[2], sys.argv[3:]))
