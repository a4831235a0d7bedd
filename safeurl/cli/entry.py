"""What every command shares: settings, logging, and errors turned into exit codes."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from safeurl.cli.dotenv_file import read_dotenv
from safeurl.cli.output import OutputError, prepare_output, silence
from safeurl.errors import ConfigError, RequestError, SafeURLError, UnavailableError
from safeurl.settings import SETTING_NAMES, Settings

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_UNAVAILABLE = 75
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130
#: 128 and SIGPIPE, as of any program whose reader has gone: never 0, which would say "benign".
EXIT_UNREAD = 141

_log = logging.getLogger("safeurl.cli")


def read_settings() -> Settings:
    """Read the settings from the environment, and below it from `.env` in this folder.

    What `.env` adds goes into the environment too, because forked workers read it there; names
    that are not ours stay out of it.
    """
    for name, value in read_dotenv().items():
        if name in SETTING_NAMES and value is not None:
            os.environ.setdefault(name, value)
    return Settings.read(os.environ)


def log_to(settings: Settings, file: Path | None = None) -> None:
    """Send log lines to standard error, or to a file where the screen belongs to a person."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    logging.basicConfig(
        level=settings.log_level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        filename=file,
        force=True,
    )


def exit_code(error: SafeURLError) -> int:
    """Return the exit code of the error's branch (sysexits.h; 2 as shells use it)."""
    if isinstance(error, RequestError):
        return EXIT_USAGE
    if isinstance(error, UnavailableError):
        return EXIT_UNAVAILABLE
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_INTERNAL


def guarded(app: Callable[[], object]) -> None:
    """Run a command: our errors become one sentence and an exit code, others are logged."""
    prepare_output()
    try:
        try:
            app()
        finally:
            _flush()  # here, because the interpreter's own flush could not say what went wrong
    except OutputError as error:
        silence(sys.stdout)
        complain(str(error))
        sys.exit(EXIT_UNAVAILABLE)
    except SafeURLError as error:
        complain(str(error))
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _leave_unread()
    except SystemExit as stop:
        # typer makes a 1 of it when the reader goes in mid-output.
        if isinstance(stop.__context__, BrokenPipeError):
            _leave_unread()
        raise
    except Exception:  # noqa: BLE001 - one of the three places where nothing may pass
        # The outermost handler: a defect of ours is logged whole and shown as one sentence.
        _log.exception("internal error")
        complain("Something went wrong inside SafeURL; the log above says where.")
        sys.exit(EXIT_INTERNAL)


def _flush() -> None:
    if sys.stdout is not None:  # None when the command was started with it closed
        sys.stdout.flush()


def _leave_unread() -> None:
    """End because who read our output has gone, for example in `safeurl list | head -1`."""
    silence(sys.stdout)
    sys.exit(EXIT_UNREAD)


def complain(sentence: str) -> None:
    """Say what is wrong on standard error, if there is one."""
    _say("[bold red]Error:[/]", sentence)


def note(sentence: str) -> None:
    """Say on standard error what is not wrong, but may not be what was meant."""
    _say("[bold yellow]Note:[/]", sentence)


def _say(mark: str, sentence: str) -> None:
    if sys.stderr is None:
        return
    try:
        Console(stderr=True, highlight=False).print(f"{mark} {escape(sentence)}", soft_wrap=True)
    except (OSError, SystemExit):  # rich's word for a closed pipe; the exit code still tells
        silence(sys.stderr)


def leave(code: int) -> None:
    """End the command with this exit code."""
    raise typer.Exit(code)
