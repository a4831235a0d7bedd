"""What every command shares: settings, logging, and errors turned into exit codes."""

import logging
import os
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

from safeurl.cli import logs
from safeurl.cli.view.screen import Cell, Screen
from safeurl.cli.view.streams import OutputError, prepare_output, silence
from safeurl.errors import (
    ConfigError,
    RequestError,
    SafeURLError,
    ScanNotFoundError,
    UnavailableError,
)
from safeurl.settings import file as settings_file
from safeurl.settings.core import SETTING_NAMES, Settings
from safeurl.settings.dotenv import read_dotenv
from safeurl.settings.names import faults_of_environment
from safeurl.settings.weakness import weaknesses

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_UNAVAILABLE = 75
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130
#: 128 and SIGPIPE, as of any program whose reader closed the pipe; never 0, which means "benign".
EXIT_UNREAD = 141

#: New files are private to this user; the code that creates shared files sets their mode.
_PRIVATE = 0o077

#: The option of every command that reads settings.
EnvFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Read settings from this file and no other."),
]

_log = logging.getLogger("safeurl.cli")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and their source."""

    settings: Settings
    #: The settings file; None if none is read.
    file: Path | None
    notes: tuple[str, ...]

    @property
    def source(self) -> str:
        """The source of the settings, as text."""
        return str(self.file) if self.file else "the environment alone, no file"


def read_settings() -> Settings:
    """Read the settings of a command; report the file, and settings that weaken the isolation."""
    return load_settings().settings


def load_settings() -> Loaded:
    """Read the settings like `read_settings`, and return their source too."""
    loaded = _load()
    for note in loaded.notes:
        _print_error(((note, "dim"),))
    for weakness in weaknesses(loaded.settings):
        _print_error((("Warning:", "bold yellow"), f" {weakness}"))
    return loaded


def start_logging() -> Loaded:
    """Read the settings of a daemon; log what a command prints on standard error."""
    loaded = _load()
    log_to(loaded.settings)
    if loaded.file is None:
        _log.info("settings.file Settings are read from %s.", loaded.source)
    for note in loaded.notes:
        _log.info("settings.file %s", note)
    for weakness in weaknesses(loaded.settings):
        _log.warning("settings.weakness setting=%s %s", weakness.setting, weakness)
    return loaded


def name_env_file(path: Path | None) -> None:
    """Use the file of `--env-file` instead of the one that the environment names."""
    if path is not None:
        os.environ[settings_file.VARIABLE] = str(path.absolute())


def _load() -> Loaded:
    """Read the settings from the environment, and below it from one file.

    What the file adds goes into the environment too, because forked workers read it there; names
    that are not ours stay out of it.
    """
    if faults := tuple(faults_of_environment(os.environ)):
        raise ConfigError(faults)
    file = settings_file.find(os.environ)
    notes = []
    if file == settings_file.SYSTEM_FILE and not settings_file.is_readable(file):
        # systemd passes this file to the units; other users have their own settings.
        notes.append(f"{file} is not read: this user may not.")
        file = None
    if file is not None:
        for name, value in read_dotenv(file).items():
            if name in SETTING_NAMES and value is not None:
                os.environ.setdefault(name, value)
        notes.append(f"Settings are read from {file}.")
    if settings_file.passed_over(file):
        notes.append(
            "The .env of this folder is not read. If it is yours, name it: `--env-file .env`."
        )
    try:
        settings = Settings.read(os.environ)
    except ConfigError as error:
        raise ConfigError((*error.faults, *notes)) from error
    return Loaded(settings, file, tuple(notes))


def log_to(settings: Settings, file: Path | None = None) -> None:
    """Write log lines to standard error, or to a file if a person uses the terminal."""
    logs.log_to(settings.log_level, file)


def exit_code(error: SafeURLError) -> int:
    """Return the exit code for the class of the error (sysexits.h; 2 as in shells)."""
    if isinstance(error, RequestError):
        return EXIT_USAGE
    if isinstance(error, UnavailableError):
        return EXIT_UNAVAILABLE
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_INTERNAL


def guarded(app: typer.Typer) -> None:
    """Run a command: our errors become a sentence and an exit code; others are logged."""
    prepare_output()
    os.umask(_PRIVATE)
    logs.clean_last_resort()
    try:
        try:
            sys.exit(app(standalone_mode=False) or 0)
        finally:
            sys.stdout.flush()  # the interpreter's flush at exit could not report the error
    except OutputError as error:
        silence(sys.stdout)
        complain(str(error))
        sys.exit(EXIT_UNAVAILABLE)
    except SafeURLError as error:
        complain(*_sentences(error))
        sys.exit(exit_code(error))
    except typer.TyperException as error:
        _explain(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _leave_unread()
    except SystemExit as stop:
        # typer turns it into 1 if the reader closes the pipe during output.
        if isinstance(stop.__context__, BrokenPipeError):
            _leave_unread()
        raise
    except Exception:  # noqa: BLE001 - one of the three outermost handlers
        # A defect is logged with its traceback and shown as one sentence.
        _log.exception("internal error")
        complain("SafeURL failed because of a defect; the log above shows where.")
        sys.exit(EXIT_INTERNAL)


def _sentences(error: SafeURLError) -> tuple[str, ...]:
    """Return what went wrong, and for a person at a terminal what to do."""
    if isinstance(error, ConfigError):
        return error.faults
    if isinstance(error, ScanNotFoundError):
        return (f"{error} `safeurl list` shows the newest ones.",)
    return (str(error),)


def _explain(error: typer.TyperException) -> None:
    """Report an error of the command line; it may quote pasted text."""
    text = StringIO()
    # No public class of typer has the method that prints usage and message.
    show = getattr(error, "show", None)
    if show is None:
        complain(str(error))
        return
    show(text)
    message = f"Error: {error.format_message()}"
    head = text.getvalue().removesuffix(f"{message}\n")
    is_last = head != text.getvalue()
    _print_error(*((line,) for line in (*head.splitlines(), *[message] * is_last)))


def _leave_unread() -> None:
    """End because the reader of our output closed the pipe, as in `safeurl list | head -1`."""
    silence(sys.stdout)
    sys.exit(EXIT_UNREAD)


def complain(sentence: str, *more: str) -> None:
    """Print an error on standard error; each sentence is a line."""
    _print_error((("Error:", "bold red"), f" {sentence}"), *((each,) for each in more))


def note(sentence: str) -> None:
    """Print a note on standard error about something that may not be intended."""
    _print_error((("Note:", "bold yellow"), f" {sentence}"))


def _print_error(*lines: tuple[Cell, ...]) -> None:
    for line in lines:
        Screen(stderr=True).line(*line)


def leave(code: int) -> None:
    """End the command with this exit code."""
    raise typer.Exit(code)
