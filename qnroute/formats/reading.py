"""Reading a file: its bytes, and its text, with one line for whatever goes wrong."""

from __future__ import annotations

import os
import sys

from qnroute.errors import ProblemError
from qnroute.formats.writing import STANDARD, named


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, or of standard input where `path` is ``-``."""
    try:
        if os.fspath(path) == STANDARD:
            if sys.stdin is None:
                raise OSError("it is closed")
            return sys.stdin.buffer.read()
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise ProblemError(f"cannot be read: {error.strerror or error}", source=source_of(path)) from None
    except ValueError as error:  # a null byte in the path
        raise ProblemError(f"cannot be read: {error}", source=repr(path)) from None


def source_of(path: str | os.PathLike[str]) -> str:
    """What a message calls the file at `path` when it is read."""
    return named(path, standard="standard input")


def decode(content: bytes | str) -> str:
    """The text of UTF-8 content; a byte order mark at its start is skipped."""
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(f"byte {error.start}: found 0x{content[error.start]:02x}, expected UTF-8 text") from None


def decode_loosely(content: bytes) -> tuple[str, list[str]]:
    """The text of a file that need not be UTF-8, as old formats do not say; and a note where it was not."""
    try:
        return decode(content), []
    except ProblemError:
        return content.decode("latin-1"), ["doubtful: the text is not UTF-8 and was read as Latin-1"]
