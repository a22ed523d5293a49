"""`betanas`: the commands, and what becomes of errors.

Exit codes: 0 done; 2 the user's input is wrong, with one message on standard error; 1 anything else; 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from betanas._version import __version__
from betanas.cli.commands import Commands
from betanas.cli.interruption import INTERRUPTED
from betanas.cli.invocation import Invocation
from betanas.cli.wrong_value import in_our_words
from betanas.errors import BetanasError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

app = typer.Typer(
    name="betanas",
    cls=Commands,
    help="Find the convolutional network that learns the most from your images in the training time you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"betanas {__version__}")
        raise typer.Exit


# Times networks as other programs would run them.
_LEAVES_THREADS = ("profile",)


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the convolutional network that learns the most from your images in the training time you have."""
    if context.invoked_subcommand not in _LEAVES_THREADS:
        from betanas.data.cores import let_threads_sleep

        let_threads_sleep()  # before a command loads torch, which reads it once


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(arguments, own_process=True))


def run(arguments: list[str] | None = None, *, own_process: bool = False) -> int:
    """Run a command and give its exit code.

    Args:
        arguments: as typed; those of the process where they are not given.
        own_process: whether the process was started for this command, so that its time began then.
    """
    try:
        answer = typer.main.get_command(app).main(
            arguments, prog_name="betanas", standalone_mode=False, obj=Invocation(own_process)
        )
    except BetanasError as error:
        _say(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:  # the reader of our output (head, less) has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        hint = "Choose another folder." if error.errno == errno.EROFS else "Free some space, then type the same again."
        _say(f"{error.strerror}: {error.filename or 'what was to be written'}. {hint}")
        return 1
    except Exception as error:
        if not _is_usage_error(error):
            raise
        if (plainly := in_our_words(error)) is not None:
            _say(plainly)
            return plainly.exit_code
        error.show()  # type: ignore[attr-defined]
        return int(error.exit_code)  # type: ignore[attr-defined]
    if answer == INTERRUPTED:
        return _interrupted()
    return answer if isinstance(answer, int) else 0


def _interrupted() -> int:
    _say("Interrupted.")
    return INTERRUPTED


def _say(words: object) -> None:
    """The one message that a command ends with."""
    with suppress(OSError):  # the terminal may be gone, which is what ended the command
        print(f"betanas: {words}", file=sys.stderr, flush=True)  # noqa: T201


def _is_usage_error(error: Any) -> bool:
    """Whether the command line itself was wrong: Typer brings its own copy of Click, so the class has no fixed home."""
    return hasattr(error, "show") and hasattr(error, "exit_code")
