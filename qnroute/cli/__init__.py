"""The `qnroute` command: one file for each family of commands, no logic of its own."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import Exit, TyperException

from qnroute.cli import benching, drawing, listing, solving

DONE, FAILED, BAD_INPUT, NO_ANSWER = 0, 1, 2, 3

app = typer.Typer(
    name="qnroute",
    help="Optimization toolkit for quantum networks: a problem in, a checked allocation with a proven bound out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (solving, listing, drawing, benching):
    family.register(app)


@app.callback()
def _root() -> None:
    """Commands act on problem and result files in JSON; ``-`` is standard input or output."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 the check failed, 2 bad input or usage, 3 no answer within the limit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; gives back its exit status. Errors are one line on standard error, never a traceback."""
    from qnroute.errors import InfeasibleAllocation, NoAnswer, ProblemError, QnrouteError

    try:
        code = app(arguments, standalone_mode=False)
    except Exit as stop:
        code = stop.exit_code
    except TyperException as error:
        return _fail(error.format_message(), BAD_INPUT)
    except InfeasibleAllocation as error:
        return _fail(str(error), FAILED)
    except NoAnswer as error:
        return _fail(str(error), NO_ANSWER)
    except ProblemError as error:
        return _fail(str(error), BAD_INPUT)
    except QnrouteError as error:
        return _fail(str(error), BAD_INPUT)
    except MemoryError:
        return _fail("not enough memory for this problem and method", BAD_INPUT)
    except BrokenPipeError:  # the reader has gone: nothing left to tell it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted before there was an answer", NO_ANSWER)
    return code or DONE


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"qnroute: {line}", file=sys.stderr)
    return code
