"""The `qnroute` command: one file for each family of commands, no logic of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import typer
from typer.exceptions import Exit, TyperException

from qnroute.cli import benching, console, drawing, listing, qubo, scoring, simulating, solving, training
from qnroute.interruption import came_of_interrupt

DONE, FAILED, BAD_INPUT, NO_ANSWER = 0, 1, 2, 3

app = typer.Typer(
    name="qnroute",
    help="Optimization toolkit for quantum networks: a problem in, a checked allocation with a proven bound out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (solving, listing, drawing, qubo, scoring, training, simulating, benching):
    family.register(app)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    """Commands act on problem and result files in JSON; ``-`` is standard input or output."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 the check failed, 2 bad input or usage, 3 no answer within the limit."""
    code = run(arguments)
    with contextlib.suppress(ValueError):  # all is said: a Ctrl-C now would only change the status
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threading.active_count() > 1:  # a solver that minds no second Ctrl-C: its thread would abort on the way out
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run a command; gives back its exit status. Errors are one line on standard error, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows few letters is no error
    code = DONE
    try:
        code = _answered(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:  # once more, while leaving
        return code if code != DONE else _fail(_INTERRUPTED, NO_ANSWER)
    except BrokenPipeError:  # the reader has gone: nothing left to tell it
        console.abandon_output()
        return DONE
    except OSError as error:
        console.abandon_output()
        if code != DONE:  # told already
            return code
        return _fail(f"standard output: cannot be written: {error.strerror or error}", BAD_INPUT)


def _answered(arguments: list[str] | None) -> int:
    from qnroute.errors import InfeasibleAllocation, NoAnswer, QnrouteError

    try:
        code = app(arguments, standalone_mode=False) or DONE
        return _fail(_INTERRUPTED, NO_ANSWER) if code == _TYPER_INTERRUPTED else code
    except SystemExit as stop:  # typer's own answer to a reader that has gone
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    except Exit as stop:
        return stop.exit_code
    except TyperException as error:
        return _fail(error.format_message(), BAD_INPUT)
    except InfeasibleAllocation as error:
        return _fail(str(error), FAILED)
    except NoAnswer as error:
        return _fail(str(error), NO_ANSWER)
    except QnrouteError as error:
        return _fail(str(error), BAD_INPUT)
    except MemoryError:
        return _fail("not enough memory for this problem and method", BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(_INTERRUPTED, NO_ANSWER)
    except Exception as error:
        if came_of_interrupt(error):
            return _fail(_INTERRUPTED, NO_ANSWER)
        raise


_TYPER_INTERRUPTED = 130
_INTERRUPTED = "interrupted before there was an answer"


def _fail(message: str, code: int) -> int:
    console.remark(message)
    return code
