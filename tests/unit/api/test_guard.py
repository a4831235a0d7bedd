"""Requests that the guard refuses because of their headers alone."""

from http import HTTPStatus

import pytest
from starlette.datastructures import Headers

from api.app import allowed_hosts
from api.guard import LOOPBACK_HOSTS, host_name, refuse
from safeurl.errors import ConfigError
from safeurl.settings import Settings

_JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8321", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8321", "::1"),
        ("[::1]", "::1"),
        ("localhost.", "localhost."),
        ("localhost:", ""),
        ("evil@localhost", ""),
        ("localhost/evil", ""),
        ("localhost, evil", ""),
        ("::1", ""),
        ("", ""),
    ],
)
def test_host_name_reads_only_well_formed_hosts(host: str, name: str) -> None:
    """A Host header is a name or an address with an optional port."""
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, None),
        ("GET", {"host": "rebound.example"}, HTTPStatus.MISDIRECTED_REQUEST),
        ("GET", {"host": "localhost.evil.example"}, HTTPStatus.MISDIRECTED_REQUEST),
        ("GET", {"host": "169.254.169.254"}, HTTPStatus.MISDIRECTED_REQUEST),
        ("GET", {"host": ""}, HTTPStatus.MISDIRECTED_REQUEST),
        ("GET", {"origin": "http://localhost:8321"}, None),
        ("GET", {"origin": "https://localhost:8321"}, None),
        ("GET", {"origin": "http://localhost:3000"}, HTTPStatus.FORBIDDEN),
        ("GET", {"origin": "https://evil.example"}, HTTPStatus.FORBIDDEN),
        ("GET", {"origin": "null"}, HTTPStatus.FORBIDDEN),
        ("GET", {"sec-fetch-site": "same-origin"}, None),
        ("GET", {"sec-fetch-site": "none"}, None),
        (
            "GET",
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
            HTTPStatus.FORBIDDEN,
        ),
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, HTTPStatus.FORBIDDEN),
        ("POST", _JSON, None),
        ("POST", {"content-type": "Application/JSON; charset=utf-8"}, None),
        ("POST", {}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("POST", {"content-type": "text/plain"}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (
            "POST",
            {"content-type": "text/plain;application/json"},
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
        ("DELETE", {}, None),
        ("DELETE", {"origin": "https://evil.example"}, HTTPStatus.FORBIDDEN),
        ("DELETE", {"sec-fetch-site": "same-site"}, HTTPStatus.FORBIDDEN),
        ("DELETE", {"host": "rebound.example"}, HTTPStatus.MISDIRECTED_REQUEST),
        ("PUT", {}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("POST", {**_JSON, "origin": "https://evil.example"}, HTTPStatus.FORBIDDEN),
        ("POST", {**_JSON, "sec-fetch-site": "cross-site"}, HTTPStatus.FORBIDDEN),
    ],
)
def test_refuse_judges_host_site_and_type(
    method: str, headers: dict[str, str], status: HTTPStatus | None
) -> None:
    """Only requests to our own name, from our own page or no page, get through; POST with JSON."""
    refusal = refuse(method, Headers({"host": "localhost:8321", **headers}), LOOPBACK_HOSTS)
    assert (refusal.status_code if refusal else None) == status


@pytest.mark.parametrize(("method", "passes"), [("GET", True), ("POST", False), ("DELETE", False)])
def test_a_link_from_elsewhere_may_be_followed(method: str, passes: bool) -> None:  # noqa: FBT001 - a table's column
    """A link in a mail opens the page; a form that posts from there does not."""
    navigation = {
        "host": "localhost",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    assert (refuse(method, Headers(navigation | _JSON), LOOPBACK_HOSTS) is None) == passes


def test_a_frame_from_elsewhere_is_refused() -> None:
    """A frame is not a navigation that the user sees."""
    headers = {
        "host": "localhost",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "iframe",
    }
    assert refuse("GET", Headers(headers), LOOPBACK_HOSTS) is not None


def test_without_a_list_every_host_is_answered() -> None:
    """A server that is open to other machines cannot know its names."""
    assert refuse("GET", Headers({"host": "scanner.example"}), None) is None


@pytest.mark.parametrize(
    ("address", "listed", "hosts"),
    [
        ("127.0.0.1", "", LOOPBACK_HOSTS),
        ("127.0.0.1", "Scanner.Example", LOOPBACK_HOSTS | {"scanner.example"}),
        ("0.0.0.0", "", None),
        ("0.0.0.0", "localhost, 127.0.0.1,::1", LOOPBACK_HOSTS),
    ],
)
def test_a_server_answers_to_the_names_that_are_listed(
    address: str, listed: str, hosts: frozenset[str] | None
) -> None:
    """Open to other machines, it answers to any name only when none is listed."""
    settings = Settings.read({"API_HOST": address, "API_ALLOWED_HOSTS": listed})
    assert allowed_hosts(settings, address) == hosts


@pytest.mark.parametrize("listed", ["localhost:8321", "http://localhost", "[::1]", "*"])
def test_a_listed_name_has_no_port_and_no_scheme(listed: str) -> None:
    """An entry that can never equal a Host header's name is reported as a fault."""
    with pytest.raises(ConfigError, match="API_ALLOWED_HOSTS"):
        Settings.read({"API_ALLOWED_HOSTS": listed})
