"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
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
    with _faults_at(path):
        if os.fspath(path) == STANDARD:
            _write_standard(text)
        else:
            _write_file(Path(path), text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to the file at `path`, whole or not at all, as `write_text` does."""
    with _faults_at(path):
        _write_file(Path(path), content)


@contextlib.contextmanager
def _faults_at(path: str | os.PathLike[str]) -> Iterator[None]:
    """Faults of writing, as `ProblemError` with the path."""
    try:
        yield
    except BrokenPipeError:  # a reader that has gone is no fault of the path
        raise
    except OSError as error:
        raise ProblemError(f"cannot be written: {error.strerror or error}", source=named(path)) from None
    except ValueError as error:  # lone surrogates in the text, a null byte in the path
        raise ProblemError(f"cannot be written: {error}", source=named(path)) from None


def named(path: str | os.PathLike[str], standard: str = "standard output") -> str:
    """What a message calls the file at `path`."""
    return standard if os.fspath(path) == STANDARD else str(path) or "''"


def _write_standard(text: str) -> None:
    if sys.stdout is None:
        raise OSError("it is closed")
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(text)
    else:  # UTF-8 whatever the terminal speaks, as in a file
        sys.stdout.flush()
        buffer.write(text.encode())
    sys.stdout.flush()


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
    try:
        reason = _obstacle(Path(path))
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a loop of links, a closed folder
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise ProblemError(f"cannot be written: {reason}", source=named(path))


def _obstacle(place: Path) -> str:
    """What stands in the way of a file at `place`, or nothing."""
    exists = os.path.lexists(place)
    if exists and place.is_dir():
        return "it is a folder"
    if exists:
        place.resolve(strict=not place.is_symlink() or place.exists())
    if not place.parent.is_dir():
        return f"there is no folder {place.parent}"
    if len(os.fsencode(place.name)) > 255:
        return "the file name is too long"
    if exists and place.is_symlink():
        os.path.realpath(place, strict=False)
        place.resolve()
    return "" if os.access(place if place.exists() else place.parent, os.W_OK) else "permission denied"
