"""The dialler checks all addresses before it connects, and connects only to a checked one."""

import socket
import threading

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.dial import DirectDialler
from fetcher.http.hop_recorder import HopRecorder
from safeurl.address import AddressPolicy, PolicyOverrides
from safeurl.state import Outcome

_POLICY = AddressPolicy.parse(PolicyOverrides(allow_cidrs=("127.0.0.0/8",)))


def _recorder(port: int) -> HopRecorder:
    return HopRecorder(f"http://name.test:{port}/", "name.test", port, "submitted")


def _failure(dialler: DirectDialler, recorder: HopRecorder, seconds: float = 10) -> Outcome:
    with pytest.raises(FetchFailedError) as caught:
        dialler.dial(recorder, Deadline.after(seconds))
    return caught.value.result.outcome


def test_it_resolves_once_and_redials_the_same_address() -> None:
    """A second connection uses the same address without another look-up."""
    asked: list[str] = []

    def resolver(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",)

    with socket.create_server(("127.0.0.1", 0)) as server:
        recorder = _recorder(server.getsockname()[1])
        dialler = DirectDialler(_POLICY, resolver)
        with dialler.dial(recorder, Deadline.after(10)) as first:
            assert first.getpeername()[0] == "127.0.0.1"
        with dialler.redial(recorder, Deadline.after(10)) as second:
            assert second.getpeername()[0] == "127.0.0.1"
    assert asked == ["name.test"]
    assert recorder.addresses == ("127.0.0.1",)
    assert recorder.dns_ms is not None
    assert recorder.connect_ms is not None


def test_it_tries_the_next_address() -> None:
    """The first address refuses the connection, the second one accepts."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        recorder = _recorder(server.getsockname()[1])
        dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.3", "127.0.0.2"))
        dialler.dial(recorder, Deadline.after(10)).close()
    assert recorder.address == "127.0.0.2"


def test_one_refused_address_refuses_all() -> None:
    """No connection is made, and the refusal contains the address and the rule."""
    recorder = _recorder(80)
    dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.1", "10.0.0.1"))
    assert _failure(dialler, recorder) is Outcome.ADDRESS_REFUSED
    assert recorder.address is None
    assert recorder.refusal is not None
    assert (recorder.refusal.address, recorder.refusal.rule) == ("10.0.0.1", "private")


def test_a_refused_port_is_not_dialled() -> None:
    """The dialler checks the port, even if the URL parser has checked it before."""
    recorder = _recorder(22)
    dialler = DirectDialler(_POLICY, lambda _: ("127.0.0.1",))
    assert _failure(dialler, recorder) is Outcome.ADDRESS_REFUSED
    assert recorder.refusal is not None
    assert (recorder.refusal.address, recorder.refusal.rule) == ("", "port_privileged")


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
    """Only a name that does not exist becomes `dns_nxdomain`."""

    def resolver(_: str) -> tuple[str, ...]:
        raise socket.gaierror(code, "words")

    assert _failure(DirectDialler(_POLICY, resolver), _recorder(80)) is outcome


def test_a_blocked_resolver_is_abandoned() -> None:
    """The deadline holds although getaddrinfo cannot be interrupted."""
    release = threading.Event()

    def resolver(_: str) -> tuple[str, ...]:
        release.wait(60)
        return ("127.0.0.1",)

    assert _failure(DirectDialler(_POLICY, resolver), _recorder(80), 0.2) is Outcome.DNS_FAILED
    release.set()


def test_a_name_without_addresses_is_dns_failed() -> None:
    """Without an address the result is `dns_failed`."""
    outcome = _failure(DirectDialler(_POLICY, lambda _: ()), _recorder(80))
    assert outcome is Outcome.DNS_FAILED
