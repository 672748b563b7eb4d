"""Column generation cut short everywhere, so that small problems need many rounds, or stay open."""

from __future__ import annotations

from qnroute.solvers import branching, column_generation, relaxation


def limited(monkeypatch, rng):
    choices = {
        "_PATIENCE": (1, 2), "_WORTHWHILE": (0.0, 0.5), "_ROUGH": (0.0, 9.0), "_PART": (2, 500), "_CLOSE": (0.0, 0.5),
        "_CUT_ROUNDS": (0, 1, 30), "_PARTIAL": (1, 8), "_CUTS_BETWEEN": (1, 5), "_NESTED_PAYS": (0.0, 0.5),
    }  # fmt: skip
    for name, options in choices.items():
        monkeypatch.setattr(relaxation, name, rng.choice(options))
    monkeypatch.setattr(branching, "_NODES", rng.choice((0, 2, 200)))
    monkeypatch.setattr(column_generation, "_STEPS", rng.choice(((1.0,), (0.01, 0.2, 1.0))))
