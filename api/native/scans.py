"""Scans: hand one in, look at one, list them."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Path, Query, Response

from api.deps import ServiceOf
from api.native.schemas import (
    ErrorDocument,
    ListedScan,
    ResultDocument,
    ScanDetail,
    ScanDocument,
    ScanPage,
    SubmitRequest,
    SubmittedScan,
)
from safeurl.errors import UrlRefusedError
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import Profile
from safeurl.model.scan import Result, Scan, VerdictSummary
from safeurl.model.verdict import Verdict
from safeurl.model.view import ScanView
from safeurl.pasted import find_urls
from safeurl.services.query import MAX_PAGE
from safeurl.state import is_final
from safeurl.url import Reason

PATH = "/api/scans"

_NOT_FOUND = {"model": ErrorDocument, "description": "No scan has this id."}
_NOT_VALID = {"model": ErrorDocument, "description": "The request is not valid."}
_UNAVAILABLE = {"model": ErrorDocument, "description": "The database does not answer now."}

router = APIRouter(prefix=PATH, tags=["scans"], responses={422: _NOT_VALID, 503: _UNAVAILABLE})

#: Our ids are 36 long; what is longer is not looked up.
ScanId = Annotated[str, Path(max_length=64, description="The scan's id.")]


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Submit a URL",
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}}}},
        400: {"model": ErrorDocument, "description": "The URL can never be scanned."},
        413: {"model": ErrorDocument, "description": "The body is too long."},
        415: {"model": ErrorDocument, "description": "The body is not JSON."},
    },
)
async def submit(request: SubmitRequest, response: Response, service: ServiceOf) -> SubmittedScan:
    """Record the URL and wake a worker. After this answer the scan is not lost."""
    _check_alone(request.url)
    submission = await service.submit([request.url], source="api", profile=Profile(request.profile))
    scan = submission.scans[0]
    response.headers["location"] = f"{PATH}/{scan.id}"
    return SubmittedScan.model_validate(
        {**_fields(scan), "queued": submission.queued, "warning": submission.warning}
    )


@router.get("", summary="List scans")
async def page(
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many.")] = 50,
    before: Annotated[
        str | None, Query(max_length=64, description="Only those older than this id.")
    ] = None,
) -> ScanPage:
    """Return scans newest first; follow `next` for older ones."""
    scans = await service.page(limit=limit, before=before)
    judged = await service.summaries(scans)
    more = {"limit": limit, "before": scans[-1].id} if len(scans) == limit else None
    return ScanPage(
        scans=tuple(_listed(scan, judged.get(scan.id)) for scan in scans),
        next=f"{PATH}?{urlencode(more)}" if more else None,
    )


@router.get(
    "/{scan_id}",
    summary="Show a scan",
    responses={404: _NOT_FOUND},
)
async def view(scan_id: ScanId, service: ServiceOf) -> ScanDetail:
    """Return the scan with its result, evidence, artefacts, attempts and audit trail."""
    return detail(await service.view(scan_id))


@router.delete(
    "/{scan_id}",
    summary="Cancel a scan",
    responses={
        404: _NOT_FOUND,
        409: {"model": ErrorDocument, "description": "The scan has ended already."},
    },
)
async def cancel(scan_id: ScanId, service: ServiceOf) -> ScanDocument:
    """End an unfinished scan as FAILED `cancelled` and return it; its sandbox is removed.

    Nothing is deleted. A second cancel of a scan is not an error.
    """
    return ScanDocument.model_validate(_fields(await service.cancel(scan_id, actor="api")))


def detail(seen: ScanView) -> ScanDetail:
    """Return the complete document of a scan."""
    evidence = msgspec.json.decode(seen.evidence_json) if seen.evidence_json else None
    return ScanDetail.model_validate(
        {
            **_fields(seen.scan),
            "result": _result(seen.result) if seen.result else None,
            "evidence": evidence,
            "artefacts": seen.artefacts,
            "attempts": seen.attempts,
            "audit": seen.audit,
        }
    )


def _listed(scan: Scan, judged: VerdictSummary | None) -> ListedScan:
    verdict, score = (judged.verdict, judged.score) if judged else (None, None)
    return ListedScan.model_validate({**_fields(scan), "verdict": verdict, "score": score})


def _fields(scan: Scan) -> dict[str, Any]:
    """Return a scan's own fields; the documents pick those they show."""
    return {
        **asdict(scan),
        "final": is_final(scan.state),
        "outcome_text": OUTCOME_MESSAGES[scan.outcome] if scan.outcome else None,
    }


def _result(result: Result) -> ResultDocument:
    verdict = msgspec.json.decode(result.verdict_json, type=Verdict)
    return ResultDocument.model_validate({**msgspec.to_builtins(verdict), **asdict(result)})


def _check_alone(text: str) -> None:
    """Raise UrlRefusedError where a text holds more than one URL."""
    found = find_urls(text)
    if len(found.urls) > 1:
        words = f"This text holds {len(found.urls)} URLs. Submit them one by one"
    elif found.left_out:
        words = "This text holds words beside a URL. Submit the URL alone"
    else:
        return
    raise UrlRefusedError(Reason.AMBIGUOUS, f"{words}; POST /api/pasted finds the URLs in a text.")
