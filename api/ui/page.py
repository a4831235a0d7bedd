"""The page that people use in a browser; this server serves all its files."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse

FOLDER: Final = Path(__file__).parent / "static"

#: The page runs only our script and sends requests only to this server.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)

router = APIRouter(include_in_schema=False)


# Monitors send HEAD, which FastAPI, unlike Starlette, does not add to GET.
@router.api_route("/", methods=["GET", "HEAD"])
async def index() -> FileResponse:
    """Return the page."""
    return FileResponse(FOLDER / "index.html", headers={"content-security-policy": POLICY})
