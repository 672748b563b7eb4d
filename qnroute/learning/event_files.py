"""Scalars over steps as TensorBoard reads them: event files, written as they are.

A file is a row of records: length, its checksum, an ``Event`` message of protocol buffers, its checksum (TensorFlow,
``tensorflow/core/lib/io/record_writer.h`` and ``core/util/event.proto``). A few fields of each message are all that is
needed, so that nothing must be installed to write them.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from qnroute.errors import ProblemError


class EventFile:
    """A new event file in a folder, which is made if it is not there; each step is on the disk when it was told.

    Raises
    ------
    ProblemError
        The folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{time.time_ns() % 10**9:09d}.qnroute"
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._stream = open(Path(folder) / name, "xb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ProblemError(f"cannot be written: {reason}", source=str(folder)) from None
        self._write(struct.pack("<Bd", 0x09, now) + _bytes(3, b"brain.Event:2"))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Values by name at a step."""
        values = (_bytes(1, _bytes(1, name.encode()) + struct.pack("<Bf", 0x15, x)) for name, x in scalars.items())
        self._write(struct.pack("<Bd", 0x09, time.time()) + b"\x10" + _varint(step) + _bytes(5, b"".join(values)))

    def close(self) -> None:
        """No more is to come."""
        self._stream.close()

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._stream.write(length + _masked(length) + event + _masked(event))
        self._stream.flush()


def _varint(value: int) -> bytes:
    """A whole number from 0, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _bytes(field: int, content: bytes) -> bytes:
    """A field of a message that is bytes, a text or a message itself."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _masked(data: bytes) -> bytes:
    """The checksum of a record: CRC-32C, turned and moved."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """Castagnoli's cyclic redundancy check (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
