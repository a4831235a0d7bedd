"""The table from our errors to HTTP statuses, and the handlers that use it."""

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

#: The nearest base class of an error decides. Any other error gives 500, and its text is hidden.
STATUSES: Final[Mapping[type[SafeURLError], HTTPStatus]] = MappingProxyType(
    {
        ScanFinishedError: HTTPStatus.CONFLICT,
        ScanNotFoundError: HTTPStatus.NOT_FOUND,
        RequestError: HTTPStatus.BAD_REQUEST,
        UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)

#: The headers of every response. A page may widen its content policy. Caches store no response.
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

#: Seconds after which a client should repeat its request if a part does not answer.
RETRY_AFTER_S: Final = 5

_MAX_FAULTS: Final = 20
_INTERNAL: Final = "SafeURL failed on this request; the reason is in its log."


def error_response(  # noqa: PLR0913 - one argument per member of the response
    status: HTTPStatus,
    code: str,
    message: str,
    *,
    reason: str | None = None,
    titles: Sequence[str] = (),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> JSONResponse:
    """Return a response in the format of all errors of this API."""
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
    """Install handlers that turn every failed request into a response in our format."""
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
    """Return the place and the kind of a fault, without the input, which is never shown."""
    where = ".".join(str(part) for part in loc)[:100]
    return f"{where}: {message}."


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    """Return the response to a request that routing or body parsing refused."""
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
    """Return the response for a defect, without details; the server logs its traceback."""
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _INTERNAL)
