"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from qnroute.errors import ProblemError

STANDARD = "-"  # the path that stands for standard input or output


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `path`, or to standard output where that is ``-``.

    A file appears complete or not at all: it is written beside its place and renamed.

    Raises
    ------
    ProblemError
        When the place cannot be written, the disk is full, or the text is not valid Unicode.
    """
    try:
        if os.fspath(path) == STANDARD:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            _write_file(Path(path), text.encode())
    except OSError as error:
        raise ProblemError(f"cannot be written: {error.strerror or error}", source=named(path)) from None
    except ValueError as error:  # lone surrogates in the text, a null byte in the path
        raise ProblemError(f"cannot be written: {error}", source=named(path)) from None


def named(path: str | os.PathLike[str], standard: str = "standard output") -> str:
    """What a message calls the file at `path`."""
    return standard if os.fspath(path) == STANDARD else str(path) or "''"


def _write_file(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():  # a device or a pipe: renaming over it would destroy it
        path.write_bytes(content)
        return
    path = path.resolve()  # a link stays a link
    draft = path.with_name(f".{path.name[:64]}.{secrets.token_hex(4)}.part")
    try:
        with open(draft, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            draft.chmod(path.stat().st_mode)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before long work, a path that could not be written after it."""
    if os.fspath(path) == STANDARD:
        return
    place = Path(path)
    if place.is_dir():
        raise ProblemError("cannot be written: it is a folder", source=named(path))
    if not place.parent.is_dir():
        raise ProblemError(f"cannot be written: there is no folder {place.parent}", source=named(path))
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise ProblemError("cannot be written: permission denied", source=named(path))
