"""The one table from our errors to HTTP answers, and the handlers that use it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.native.schemas import ErrorDocument, Fault
from safeurl.errors import (
    RequestError,
    SafeURLError,
    ScanFinishedError,
    ScanNotFoundError,
    UnavailableError,
    UrlRefusedError,
)

#: The nearest class in an error's ancestry counts; what is not here is 500 and not shown.
STATUSES: Final[Mapping[type[SafeURLError], HTTPStatus]] = MappingProxyType(
    {
        ScanFinishedError: HTTPStatus.CONFLICT,
        ScanNotFoundError: HTTPStatus.NOT_FOUND,
        RequestError: HTTPStatus.BAD_REQUEST,
        UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)

#: On every answer. A page may widen the policy for itself; no answer is kept by caches.
SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)

#: Seconds after which a client should ask again when a part does not answer.
RETRY_AFTER_S: Final = 5

_MAX_FAULTS: Final = 20
_INTERNAL: Final = "SafeURL failed on this request; the reason is in its log."


def error_response(  # noqa: PLR0913 - one argument per member of the answer
    status: HTTPStatus,
    code: str,
    message: str,
    *,
    reason: str | None = None,
    titles: Sequence[str] = (),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> JSONResponse:
    """Return the answer in the shape that all errors of this API have."""
    document = ErrorDocument(
        message=message,
        code=code,
        status=status,
        reason=reason,
        errors=tuple(Fault(title=title, status=status) for title in titles or (message,)),
    )
    body = document.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status, {**SECURITY_HEADERS, **headers})


def status_of(error: SafeURLError) -> HTTPStatus:
    """Return the HTTP status of one of our errors."""
    found = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def install_handlers(app: FastAPI) -> None:
    """Make every failure of a request an answer in our shape."""
    app.add_exception_handler(SafeURLError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unknown)


async def _on_ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SafeURLError):
        raise error
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        # Raised on, so that the server logs it with its trace like any other defect.
        raise error
    unavailable = status is HTTPStatus.SERVICE_UNAVAILABLE
    return error_response(
        status,
        error.code,
        str(error),
        reason=error.reason if isinstance(error, UrlRefusedError) else None,
        headers={"retry-after": str(RETRY_AFTER_S)} if unavailable else {},
    )


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    titles = [_title(fault["loc"], fault["msg"]) for fault in faults[:_MAX_FAULTS]]
    return error_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        " ".join(titles[:1]) or "The request is not valid.",
        titles=titles,
    )


def _title(loc: Sequence[int | str], message: str) -> str:
    """Say where and what, without what was sent: an error never shows its input."""
    where = ".".join(str(part) for part in loc)[:100]
    return f"{where}: {message}."


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    """Answer what routing and body parsing refuse."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    return error_response(
        status,
        status.name.lower(),
        f"{status.description or status.phrase}.",
        headers=error.headers or {},
    )


async def _on_unknown(_request: Request, _error: Exception) -> JSONResponse:
    """Answer a defect without a word about it; the server logs its trace."""
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _INTERNAL)
