"""Signs in a download that comes instead of a page."""

import re
from collections.abc import Iterator

from safeurl.analysis.context import Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.model.report import Body
from safeurl.model.verdict import Category, Group

_PROGRAM_TYPE = re.compile(
    r"dosexec|msdownload|portable-executable|x-executable|x-elf|mach-binary|x-msi\b|x-sharedlib|"
    r"x-ms-shortcut|\bhta\b|java-archive|java-vm|x-dex|android\.package",
)
#: The media types that ordinary servers send for programs.
_DECLARED_PROGRAM = re.compile(
    r"octet-stream|force-download|msdownload|msi|dosexec|executable|binary|diskimage|java-archive|"
    r"android\.package|elf|apk|^$|x-download|portable-executable",
)
#: A harmless extension, followed by the effective one.
_DOUBLE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|jpe?g|png|gif|txt|mp[34]|zip|html?)"
    r"[\s_.]{1,40}(?:exe|scr|com|pif|bat|cmd|js|jse|vbs|vbe|wsf|hta|lnk|msi|ps1|iso|img|vhdx?|jar)$",
)
_SCRIPT = re.compile(
    r"\.(?:hta|vbs|vbe|jse|wsf|wsh|lnk|scr|pif|iso|img|vhdx?|ps1|bat|cmd|chm|xll)$"
)
_FILE_NAME = re.compile(r"filename\*?=[\"']?(?:utf-8'')?([^\"';]{1,200})")


def disguised_program(ctx: Context) -> Iterator[Finding]:
    """Find a program that the server sends as a picture or as text."""
    body = ctx.evidence.body
    if body and _is_program(body) and not _DECLARED_PROGRAM.search(body.declared_type.lower()):
        shown = f"declared {body.declared_type}, is {body.sniffed_type}"
        reason = "A program is sent under the type of something harmless."
        yield Finding("/body/declared_type", reason, shown)


def double_extension(ctx: Context) -> Iterator[Finding]:
    """Find `invoice.pdf.exe`, whose last part many systems hide."""
    for pointer, name in _file_names(ctx):
        if _DOUBLE.search(name):
            yield Finding(pointer, "The file's name hides what kind of file it is.", name)


def script(ctx: Context) -> Iterator[Finding]:
    """Find a kind of file that runs when it is opened and that ordinary sites rarely offer."""
    for pointer, name in _file_names(ctx):
        if _SCRIPT.search(name) and ctx.evidence.page is None and ctx.evidence.body:
            yield Finding(pointer, "The download is of a kind that runs when opened.", name)


def rootless_program(ctx: Context) -> Iterator[Finding]:
    """Find a program from an IP address or free hosting, so without a known owner."""
    body, site = ctx.evidence.body, ctx.final.site
    if body and _is_program(body) and (site.is_address or site.is_free_hosted):
        reason = "A program is offered on a bare address or free hosting."
        yield Finding("/body/sniffed_type", reason, f"{ctx.final.target.host} {body.sniffed_type}")


def program(ctx: Context) -> Iterator[Finding]:
    """Find a program; to open it means to run foreign code."""
    body = ctx.evidence.body
    if body and _is_program(body):
        yield Finding("/body/sniffed_type", "The URL downloads a program.", body.sniffed_type)


def _is_program(body: Body) -> bool:
    return _PROGRAM_TYPE.search(body.sniffed_type.lower()) is not None


def _file_names(ctx: Context) -> Iterator[tuple[str, str]]:
    """Yield the names of the download: that of the header, then that of the URL."""
    named = _FILE_NAME.search(ctx.headers.get("content-disposition", "").lower())
    if named:
        yield f"{ctx.final_hop_pointer}/headers", named.group(1).strip()
    if ctx.evidence.body:
        yield ctx.final.pointer, ctx.final.target.file_name.lower()


_MALWARE = (Category.MALWARE,)

RULES = (
    Rule(
        id="file.disguised_program",
        group=Group.FILE,
        weight=Weight.STRONG,
        categories=_MALWARE,
        check=disguised_program,
    ),
    Rule(
        id="file.double_extension",
        group=Group.FILE,
        weight=Weight.STRONG,
        categories=_MALWARE,
        check=double_extension,
    ),
    Rule(
        id="file.script",
        group=Group.FILE,
        weight=Weight.MODERATE,
        categories=_MALWARE,
        check=script,
    ),
    Rule(
        id="file.rootless_program",
        group=Group.FILE,
        weight=Weight.FIRM,
        categories=_MALWARE,
        check=rootless_program,
    ),
    Rule(id="file.program", group=Group.FILE, weight=Weight.WEAK, check=program),
)
