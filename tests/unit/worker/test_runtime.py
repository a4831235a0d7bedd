"""The choice of the runtime, as a table of setting, network and engine."""

from collections.abc import Sequence
from typing import Literal

import pytest

from worker.sandbox.runtime import RuntimeChoice, Runtimes, choose_runtime

Network = Literal["bridge", "none"]

_PTRACE = ("--platform=ptrace", "--network=none", "--fsgofer-host-uds")
_SYSTRAP = ("--platform=systrap", "--network=none", "--host-uds=open")


def _engine(runsc: Sequence[str] | None = None, default: str = "runc") -> Runtimes:
    listed: dict[str, Sequence[str]] = {"runc": (), "kata": ()}
    return Runtimes(default, listed if runsc is None else {**listed, "runsc": runsc})


@pytest.mark.parametrize(
    ("wanted", "network", "engine", "name"),
    [
        ("auto", "none", _engine(), "runc"),
        ("auto", "none", _engine(default="kata"), "kata"),
        ("auto", "none", _engine(_PTRACE), "runsc"),
        ("auto", "none", _engine(_SYSTRAP), "runsc"),
        ("auto", "none", _engine(_SYSTRAP, default="runsc"), "runsc"),
        ("auto", "none", _engine(_SYSTRAP, default="kata"), "runsc"),
        ("auto", "bridge", _engine(_SYSTRAP), "runc"),
        ("auto", "bridge", _engine(_SYSTRAP, default="runsc"), "runc"),
        ("auto", "bridge", _engine(()), "runc"),
        ("runc", "none", _engine(_SYSTRAP, default="runsc"), "runc"),
        ("runc", "bridge", _engine(), "runc"),
        ("runsc", "none", _engine(_SYSTRAP), "runsc"),
        ("kata", "none", _engine(_SYSTRAP), "kata"),
        ("", "none", _engine(_SYSTRAP), None),
        (None, "bridge", _engine(), None),
    ],
)
def test_choice(wanted: str | None, network: Network, engine: Runtimes, name: str | None) -> None:
    """Runsc is chosen if it can be used, names are used unchanged, and there is no warning."""
    assert choose_runtime(wanted, network, engine) == RuntimeChoice(name)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "without --network=none and without --host-uds=open"),
        (("--network=none",), "without --host-uds=open"),
        (("--host-uds=all",), "without --network=none"),
        (("--network=none", "--host-uds=create"), "without --host-uds=open"),
        (("--network=none", "--host-uds", "none"), "without --host-uds=open"),
        (("--network=none", "--fsgofer-host-uds=false"), "without --host-uds=open"),
        (("--network=host", "--host-uds=open"), "without --network=none"),
        ((*_SYSTRAP, "--network=sandbox"), "without --network=none"),
        (("network=none", *_SYSTRAP[2:]), "without --network=none"),
        ((*_SYSTRAP, "--ignore-cgroups"), "with --ignore-cgroups"),
    ],
)
@pytest.mark.parametrize("default", ["runc", "runsc"])
def test_runsc_that_is_not_fit(arguments: Sequence[str], fault: str, default: str) -> None:
    """`auto` chooses runc, even if the engine's default is the unsuitable runsc, and warns."""
    choice = choose_runtime("auto", "none", _engine(arguments, default))
    assert choice.name == "runc"
    assert fault in choice.warning
    named = choose_runtime("runsc", "none", _engine(arguments, default))
    assert named.name == "runsc"
    assert fault in named.warning


@pytest.mark.parametrize(
    "arguments",
    [
        ("-network=none", "-host-uds=open"),
        ("--network", "none", "--host-uds", "all"),
        ("--debug", "--network=none", "--fsgofer-host-uds=true"),
        ("--network=sandbox", "--network=none", "--host-uds=open", "--ignore-cgroups=false"),
    ],
)
def test_flags_are_read_as_gvisor_reads_them(arguments: Sequence[str]) -> None:
    """One or two dashes, a value after `=` or in the next argument; the last one counts."""
    assert choose_runtime("auto", "none", _engine(arguments)) == RuntimeChoice("runsc")


def test_a_name_the_engine_does_not_list_is_doubted() -> None:
    """It is still used: the engine refuses it with a message that names the setting."""
    choice = choose_runtime("runsc", "none", _engine())
    assert choice.name == "runsc"
    assert "CONTAINER_RUNTIME" in choice.warning


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, Runtimes("runc", {})),
        ({"Runtimes": None, "DefaultRuntime": ""}, Runtimes("runc", {})),
        (
            {
                "DefaultRuntime": "runsc",
                "Runtimes": {
                    "runc": {"path": "runc"},
                    "runsc": {"path": "/usr/bin/runsc", "runtimeArgs": list(_PTRACE)},
                    "shim": {"runtimeType": "io.containerd.runsc.v1", "runtimeArgs": None},
                },
            },
            Runtimes("runsc", {"runc": (), "runsc": _PTRACE, "shim": ()}),
        ),
    ],
)
def test_engines_own_words_are_read(info: dict[str, object], expected: Runtimes) -> None:
    """The response to `GET /info` is read, also if fields are missing."""
    assert Runtimes.read(info) == expected
