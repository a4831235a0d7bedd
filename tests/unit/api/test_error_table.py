"""The table from our errors to HTTP answers."""

import json
from http import HTTPStatus

import pytest

from api.errors import error_response, status_of
from safeurl.errors import (
    ConfigError,
    QueueUnavailableError,
    RequestError,
    SafeURLError,
    SandboxUnavailableError,
    ScanFinishedError,
    ScanNotFoundError,
    StoreUnavailableError,
    UrlRefusedError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("x"), HTTPStatus.BAD_REQUEST),
        (UrlRefusedError("scheme", "x"), HTTPStatus.BAD_REQUEST),
        (ScanNotFoundError("x"), HTTPStatus.NOT_FOUND),
        (ScanFinishedError("x", "COMPLETED"), HTTPStatus.CONFLICT),
        (StoreUnavailableError("x"), HTTPStatus.SERVICE_UNAVAILABLE),
        (QueueUnavailableError("x"), HTTPStatus.SERVICE_UNAVAILABLE),
        (SandboxUnavailableError("x"), HTTPStatus.SERVICE_UNAVAILABLE),
        (ConfigError(("x",)), HTTPStatus.INTERNAL_SERVER_ERROR),
        (SafeURLError("x"), HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
)
def test_every_branch_of_our_errors_has_its_status(error: SafeURLError, status: HTTPStatus) -> None:
    """Errors that the caller can act on give 4xx or 503; every other error is our own defect."""
    assert status_of(error) == status


def test_an_error_has_one_shape() -> None:
    """Sentence, stable code, status and the list of faults; security headers go with it."""
    response = error_response(HTTPStatus.BAD_REQUEST, "word", "A sentence.", reason="why")
    assert json.loads(bytes(response.body)) == {
        "message": "A sentence.",
        "code": "word",
        "status": 400,
        "reason": "why",
        "errors": [{"title": "A sentence.", "status": 400}],
    }
    assert response.headers["x-content-type-options"] == "nosniff"
