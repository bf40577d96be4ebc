"""The error for input that a user can put right, and how it shows on a command line."""

import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Name in one line the file, row or parameter that is wrong, and what to do about it.

    In a notebook it shows as that one line, without a traceback. What it quotes of a file cannot break the line, nor
    reach a terminal as a code.
    """

    def __init__(self, said: object):
        super().__init__(printable(said))

    def _render_traceback_(self):  # IPython asks an exception for its own rendering
        return [f"{type(self).__name__}: {self}"]


def printable(text: object) -> str:
    """Replace each character of a text that does not print with a mark."""
    return "".join(character if character.isprintable() else "�" for character in str(text))


def one_line(error: object, length: int = 200) -> str:
    """Return a library's error message as part of one line of our own."""
    return " ".join(str(error).split())[:length]


def exit_status(command: Callable[[], object]) -> int:
    """Run a command; an InputError is its one line on standard error, and status 1.

    Where the reader of its output has gone (`| head`), it ends without a word, as other commands do.
    """
    try:
        command()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return 141  # 128 and the number of SIGPIPE
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
