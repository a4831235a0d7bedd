"""A golden file contains the complete options of a sandbox, so that each change is visible."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from safeurl.address import PolicyOverrides
from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxOrder
from worker.sandbox.options import (
    ENVIRONMENT,
    Ahead,
    SandboxSettings,
    ahead_options,
    anchor_options,
    container_options,
)

_GOLDEN = Path(__file__).parent / "golden"
_SANDBOX = Path(__file__).parents[3] / "worker/sandbox"
_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_REQUEST = FetchRequest(scan="0197", attempt=3, url="http://example.com/")
_ORDER = SandboxOrder(scan="0197", attempt=3, deadline_s=30.0)
_PLAIN = SandboxSettings(image="safeurl-fetcher:latest", instance="main")
_STRICT = dataclasses.replace(
    _PLAIN, network="none", runtime="runsc", memory_mb=1024, cpus=1.5, pids_limit=256
)
_AHEAD_OF = dataclasses.replace(_PLAIN, network="none")
_AHEAD = Ahead(
    pool="5f3a",
    egress="1f2e3d4c5b6a7988",
    egress_dir="/state/egress/sockets/1f",
    anchor="a4c0",
    idle_s=720,
)
_RESOLVER = dataclasses.replace(_PLAIN, dns=("192.0.2.53",))
_CANARY = "canary-5f3a"


def _golden(name: str) -> dict[str, Any]:
    """Return the golden file, with the profile's content in place of its file name."""
    golden: dict[str, Any] = json.loads((_GOLDEN / f"sandbox_{name}.json").read_text())
    *others, seccomp = golden["HostConfig"]["SecurityOpt"]
    profile = json.loads((_SANDBOX / seccomp.removeprefix("seccomp=")).read_text())
    inline = json.dumps(profile, separators=(",", ":"))
    golden["HostConfig"]["SecurityOpt"] = [*others, f"seccomp={inline}"]
    return golden


def _order(request: FetchRequest) -> SandboxOrder:
    return SandboxOrder(scan=request.scan, attempt=request.attempt, deadline_s=30.0)


@pytest.mark.parametrize(
    ("name", "settings"), [("bridge", _PLAIN), ("none_runsc", _STRICT), ("dns", _RESOLVER)]
)
def test_options_equal_the_golden_file(name: str, settings: SandboxSettings) -> None:
    """Each kind of sandbox is compared completely, with all defaults."""
    egress_dir = "/state/egress/sockets/1f" if settings.network == "none" else None
    order = dataclasses.replace(_ORDER, egress_dir=egress_dir)
    assert container_options(settings, order, _AT) == _golden(name)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ahead", ahead_options(_AHEAD_OF, _AHEAD, _AT)),
        ("ahead_alone", ahead_options(_STRICT, dataclasses.replace(_AHEAD, anchor=None), _AT)),
        ("anchor", anchor_options(_STRICT, "5f3a", _AT)),
    ],
)
def test_options_of_the_pool_equal_the_golden_file(name: str, body: dict[str, Any]) -> None:
    """Sandboxes that are started ahead, with and without an anchor, and the anchor itself."""
    assert body == _golden(name)


def test_a_sandbox_that_is_started_ahead_differs_only_in_who_owns_it_and_its_network() -> None:
    """All walls and limits are those of a sandbox that is started for its attempt."""
    order = dataclasses.replace(_ORDER, egress_dir=_AHEAD.egress_dir)
    cold, ahead = container_options(_STRICT, order, _AT), ahead_options(_STRICT, _AHEAD, _AT)
    differ = {key for key in {*cold, *ahead} if cold.get(key) != ahead.get(key)}
    assert differ == {"Labels", "Cmd", "Hostname", "HostConfig"}
    cold_host, ahead_host = cold["HostConfig"], ahead["HostConfig"]
    differ = {key for key in {*cold_host, *ahead_host} if cold_host.get(key) != ahead_host.get(key)}
    assert differ == {"NetworkMode", "Dns", "DnsSearch", "DnsOptions"}


def test_no_setting_and_nothing_of_the_request_reaches_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment is a constant: settings, request and our own environment do not change it."""
    for name in ("TURSO_AUTH_TOKEN", "REDIS_PASSWORD", "HTTP_PROXY"):
        monkeypatch.setenv(name, _CANARY)
    settings = SandboxSettings(image=_CANARY, instance=_CANARY, runtime=_CANARY, dns=(_CANARY,))
    request = FetchRequest(scan=_CANARY, attempt=1, url=f"http://{_CANARY}/", user_agent=_CANARY)
    environment = container_options(settings, _order(request), _AT)["Env"]
    assert environment == list(ENVIRONMENT)
    assert not any(_CANARY in entry for entry in ENVIRONMENT)


def test_the_url_is_nowhere_in_the_options() -> None:
    """The request is sent on stdin only: `docker inspect` and `ps` do not show the URL."""
    request = FetchRequest(
        scan="0197",
        attempt=3,
        url=f"http://{_CANARY}/",
        user_agent=_CANARY,
        policy=PolicyOverrides(deny_cidrs=(_CANARY,)),
    )
    assert _CANARY not in json.dumps(container_options(_PLAIN, _order(request), _AT))


def test_swap_is_never_more_than_memory() -> None:
    """Memory and swap together have the same limit as memory, so nothing is swapped out."""
    for settings in (_PLAIN, _STRICT):
        host = container_options(settings, _ORDER, _AT)["HostConfig"]
        assert host["MemorySwap"] == host["Memory"] == settings.memory_mb * 2**20


def test_user_group_folder_and_label_follow_the_user_id() -> None:
    """The same number is in each field that the sandbox or the reaper reads."""
    body = container_options(dataclasses.replace(_STRICT, uid=70007), _ORDER, _AT)
    assert body["User"] == "70007:70007"
    assert body["Labels"]["safeurl.uid"] == "70007"
    [tmpfs] = body["HostConfig"]["Tmpfs"].values()
    assert tmpfs.endswith("mode=0700,uid=70007,gid=70007")
