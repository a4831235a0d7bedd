"""Finds the URLs in pasted text, before any of them is submitted."""

import re
from typing import Final

from fastapi import APIRouter

from api.deps import ServiceOf
from api.native.schemas import ErrorDocument, FoundUrl, PastedDocument, PastedRequest
from safeurl.errors import UrlRefusedError
from safeurl.pasted import find_urls
from safeurl.service import Service

router = APIRouter(prefix="/api/pasted", tags=["scans"])

#: Lone surrogates, as in text that was cut inside a character. JSON can contain them, but UTF-8 and
#: so our response cannot. They are replaced as browsers replace them in a URL.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


@router.post(
    "",
    summary="Find the URLs in a text",
    responses={
        413: {"model": ErrorDocument, "description": "The body is too long."},
        415: {"model": ErrorDocument, "description": "The body is not JSON."},
        422: {"model": ErrorDocument, "description": "The request is not valid."},
    },
)
def find(request: PastedRequest, service: ServiceOf) -> PastedDocument:
    """Return the URLs in the text and its other words. Nothing is recorded or opened."""
    # Not `async`: a long text takes time, so this runs in a thread while others are served.
    found = find_urls(_SURROGATE.sub(_REPLACEMENT, request.text))
    return PastedDocument(
        urls=tuple(_read(service, text) for text in found.urls), left_out=found.left_out
    )


def _read(service: Service, text: str) -> FoundUrl:
    try:
        return FoundUrl(text=text, url=service.normalised(text))
    except UrlRefusedError as error:
        return FoundUrl(
            text=text, url=None, code=error.code, reason=error.reason, message=str(error)
        )
