"""The commands of `safeurl` and `submit-scan`."""

import asyncio
from typing import Annotated

import typer

from safeurl import __version__
from safeurl.bootstrap import open_service, open_store
from safeurl.cli.commands.audit import audit_app
from safeurl.cli.commands.backup import backup, restore
from safeurl.cli.commands.bench import bench
from safeurl.cli.commands.cancel import cancel
from safeurl.cli.commands.daemons import api, gateway, up, worker
from safeurl.cli.commands.doctor import doctor
from safeurl.cli.commands.foreground import scan
from safeurl.cli.commands.status import status
from safeurl.cli.commands.submit import submit
from safeurl.cli.entry import EnvFile, guarded, name_env_file, read_settings
from safeurl.cli.view.render import list_document, print_list
from safeurl.cli.view.screen import Screen
from safeurl.errors import RequestError
from safeurl.model.scan import is_scan_id
from safeurl.services.query import MAX_PAGE

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
submit_app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
submit_app.command()(submit)
app.command()(scan)
app.command()(submit)
app.command()(cancel)
app.command()(status)
app.command()(worker)
app.command()(api)
app.command()(up)
app.command()(gateway)
app.command()(doctor)
app.command()(bench)
app.command()(backup)
app.command()(restore)
app.add_typer(audit_app, name="audit")


@app.callback()
def choose(*, env_file: EnvFile = None) -> None:
    """SafeURL opens suspicious URLs in disposable sandboxes and explains what it saw."""
    name_env_file(env_file)


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command(name="list")
def list_scans(
    *,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many.")] = 20,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Older than this scan.")] = None,
    as_document: Json = False,
) -> None:
    """List the newest scans."""
    if before is not None and not is_scan_id(before):
        raise RequestError("The value of --before must be the id of a scan.")

    async def run() -> None:
        async with open_service(read_settings(), required=True) as service:
            scans = await service.page(limit=limit, before=before)
            judged = await service.summaries(scans)
        if as_document:
            Screen().document(list_document(scans, judged), indent=2)
        else:
            print_list(Screen(), scans, judged)

    asyncio.run(run())


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""

    async def run() -> list[int]:
        settings = read_settings()
        async with open_store(settings, migrate=False) as store:
            return await store.migrate()

    applied = asyncio.run(run())
    done = f"Applied migrations {', '.join(map(str, applied))}." if applied else "Up to date."
    Screen().line(done)


@app.command()
def version() -> None:
    """Print the version."""
    Screen().line(f"safeurl {__version__}")


def main() -> None:
    """Run `safeurl`."""
    guarded(app)


def submit_main() -> None:
    """Run `submit-scan`."""
    guarded(submit_app)
