"""The dialler judges before it connects, and connects to what it judged."""

import socket
import threading

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.dial import DirectDialler
from fetcher.http.hop_recorder import HopRecorder
from safeurl.address import AddressPolicy
from safeurl.state import Outcome

_POLICY = AddressPolicy.parse(("127.0.0.0/8",), ())


def _trace(port: int) -> HopRecorder:
    return HopRecorder(f"http://name.test:{port}/", "name.test", port, "submitted")


def _failure(dialler: DirectDialler, trace: HopRecorder, seconds: float = 10) -> Outcome:
    with pytest.raises(FetchFailedError) as caught:
        dialler.dial(trace, Deadline.after(seconds))
    return caught.value.ending.outcome


def test_it_resolves_once_and_redials_the_same_address() -> None:
    """A name that changes its mind is not asked again."""
    asked: list[str] = []

    def resolver(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",)

    with socket.create_server(("127.0.0.1", 0)) as server:
        trace = _trace(server.getsockname()[1])
        dialler = DirectDialler(_POLICY, resolver)
        with dialler.dial(trace, Deadline.after(10)) as first:
            assert first.getpeername()[0] == "127.0.0.1"
        with dialler.redial(trace, Deadline.after(10)) as second:
            assert second.getpeername()[0] == "127.0.0.1"
    assert asked == ["name.test"]
    assert trace.addresses == ("127.0.0.1",)
    assert trace.dns_ms is not None
    assert trace.connect_ms is not None


def test_it_tries_the_next_address() -> None:
    """The first refuses, the second answers."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        trace = _trace(server.getsockname()[1])
        dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.3", "127.0.0.2"))
        dialler.dial(trace, Deadline.after(10)).close()
    assert trace.address == "127.0.0.2"


def test_one_refused_address_refuses_all() -> None:
    """Nothing is dialled, and the refusal says which address by which rule."""
    trace = _trace(80)
    dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.1", "10.0.0.1"))
    assert _failure(dialler, trace) is Outcome.ADDRESS_REFUSED
    assert trace.address is None
    assert trace.refusal is not None
    assert (trace.refusal.address, trace.refusal.rule) == ("10.0.0.1", "private")


def test_a_refused_port_is_not_dialled() -> None:
    """The port is judged here too, whoever parsed the URL."""
    trace = _trace(22)
    dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.1",))
    assert _failure(dialler, trace) is Outcome.ADDRESS_REFUSED
    assert trace.refusal is not None
    assert (trace.refusal.address, trace.refusal.rule) == ("", "port_privileged")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (socket.EAI_NONAME, Outcome.DNS_NXDOMAIN),
        (socket.EAI_NODATA, Outcome.DNS_FAILED),
        (socket.EAI_AGAIN, Outcome.DNS_FAILED),
        (socket.EAI_FAIL, Outcome.DNS_FAILED),
    ],
)
def test_resolver_errors_become_outcomes(code: int, outcome: Outcome) -> None:
    """Only a name that does not exist is nxdomain."""

    def resolver(_: str) -> tuple[str, ...]:
        raise socket.gaierror(code, "words")

    assert _failure(DirectDialler(_POLICY, resolver), _trace(80)) is outcome


def test_a_resolver_that_hangs_is_left_behind() -> None:
    """The deadline holds although getaddrinfo cannot be interrupted."""
    release = threading.Event()

    def resolver(_: str) -> tuple[str, ...]:
        release.wait(60)
        return ("127.0.0.1",)

    assert _failure(DirectDialler(_POLICY, resolver), _trace(80), 0.2) is Outcome.DNS_FAILED
    release.set()


def test_no_address_is_a_refusal_to_guess() -> None:
    """An empty answer connects to nothing."""
    outcome = _failure(DirectDialler(_POLICY, lambda _: ()), _trace(80))
    assert outcome is Outcome.DNS_FAILED
