"""Text from files and users, made fit for terminals and pictures."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with what would command a terminal, or cannot be drawn, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
