"""Names for nodes: every one different, none empty, none endless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qnroute.fields import LONGEST_ID
from qnroute.formats.raw import RawNode, count, sample

_LONGEST = LONGEST_ID - 20  # leaves room for what makes a name distinct


def name_nodes(nodes: Sequence[RawNode]) -> tuple[list[str], list[str]]:
    """A distinct name for each node, made of its label or else its key; and what had to be changed.

    Of nodes with one label the first keeps it; the others become ``label #2``, ``label #3``, ...
    """
    wanted = [tidy(node.label) or tidy(node.key) or f"node {i + 1}" for i, node in enumerate(nodes)]
    names = distinct(wanted)
    renamed = [name for name, want in zip(names, wanted) if name != want]
    notes = []
    if renamed:
        notes.append(f"renamed: {count(len(renamed), 'node')} without a name of its own: {sample(renamed)}")
    shortened = [name for name, node in zip(names, nodes) if len(node.label or node.key) > _LONGEST]
    if shortened:
        notes.append(f"renamed: {count(len(shortened), 'node')} with a label of over {_LONGEST} characters, cut")
    return names, notes + _alike(names)


def distinct(wanted: Sequence[str]) -> list[str]:
    """Names as wanted, but tidy and all different: the second ``A`` becomes ``A #2``."""
    wanted = [tidy(name) for name in wanted]
    taken, times, names = set(wanted), Counter(), []
    for want in wanted:
        times[want] += 1
        name = want
        while times[want] > 1 and (name := f"{want} #{times[want]}") in taken:
            times[want] += 1
        taken.add(name)
        names.append(name)
    return names


def tidy(label: str) -> str:
    """A name on one line, storable as UTF-8, of bearable length."""
    return " ".join(label.encode("utf-8", "replace").decode().split())[:_LONGEST]


def _alike(names: Sequence[str]) -> list[str]:
    folded = Counter(name.casefold() for name in names)
    alike = [name for name in names if folded[name.casefold()] > 1]
    return [f"doubtful: {len(alike)} names differ only in their case: {sample(alike)}"] if alike else []
