"""Reading URLs as a browser would: refang, normalise, and refuse what can never be scanned.

The parser is Ada, the WHATWG parser of Node.js, so that we open the host which the victim's
browser opens, in every spelling of it. Around it stand our own rules: what other programs read
as another host is refused rather than guessed, and so is whatever the address policy forbids.

- Text without a scheme becomes `http://`, as mail and chat clients make it when they turn text
  into links (`https://` where it names port 443): the redirect to https, if any, is evidence.
- User name and password are dropped from what is sent; the host is what follows the last `@`.
- The fragment is kept: phishing pages carry the victim's address there.
- A trailing dot of the host is kept, since servers see it; the rules apply without it.
- A host may hold what the DNS can hold, `a!b.example` too: wildcard records serve such names.

A URL that `parse` returned is parsed to itself.
"""

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from ada_url import URL, HostType

from safeurl.address import DEFAULT_POLICY, AddressPolicy, Rule
from safeurl.errors import UrlRefusedError
from safeurl.refang import TAIL_DOT, TAIL_MARK, TwoHostsError, undotted, unmarked
from safeurl.url_host import Reason, check_literal, check_name, check_port, refuse_host

__all__ = [
    "MAX_BYTES",
    "MAX_REDIRECT_BYTES",
    "NAMED_SCHEMES",
    "ParsedUrl",
    "Reason",
    "defang",
    "origin",
    "parse",
    "resolve",
    "username",
]

#: The longest URL that is taken from a user, in bytes of UTF-8, before and after normalising.
MAX_BYTES: Final = 2048
#: The longest redirect target: sign-in pages send longer ones than people do, and a report's
#: field for URLs ends here.
MAX_REDIRECT_BYTES: Final = 8192

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A URL that may be opened; `host` is ASCII, without brackets, and `port` is never absent."""

    #: Normalised; without credentials, with its fragment.
    url: str
    scheme: str
    host: str
    port: int
    #: Whether `host` is an IP address, which has then been judged.
    is_literal: bool


#: Known not to be host names, so that `data:1` is not taken for a host with a port.
NAMED_SCHEMES: Final = frozenset(
    {
        *("about", "blob", "chrome", "data", "dict", "file", "filesystem", "ftp", "ftps", "gopher"),
        *("imap", "intent", "jar", "javascript", "ldap", "ldaps", "mailto", "mhtml", "netdoc"),
        *("phar", "php", "pop3", "rtsp", "sftp", "sip", "smb", "sms", "smtp", "ssh", "tel"),
        *("telnet", "tftp", "urn", "vbscript", "view-source", "ws", "wss"),
    }
)

#: What surrounds a URL in a mail or a chat.
_QUOTES: Final = frozenset({"<>", '""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\xab\xbb"})
#: Marks without width that come along when text is copied.
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: What the WHATWG URL parser takes off the ends, and out of the middle.
_EDGES: Final = "".join(map(chr, range(0x21)))
_DROPPED: Final = re.compile(r"[\t\n\r]")
_WEB_SCHEME: Final = re.compile(
    r"(h(?:tt|xx|xt|tx|\*\*)p)(s?)(:|\[:\]|\[://\])[/\\]*", re.IGNORECASE
)
_SCHEME: Final = re.compile(
    r"([a-z][a-z0-9+.-]*):(?P<port>[0-9]{1,5}(?:[/?#\\]|\Z))?", re.IGNORECASE
)
#: Words or marks where a text without a scheme would have its host.
_WORDS: Final = re.compile(r"[^:@\[]*\s[^:@\[]*|[^\w:\[\]]+")
_TLS_PORT: Final = re.compile(r":0*443\Z")
#: Where RFC 3986 sees the authority end; a browser ends it at the first backslash too.
_AUTHORITY: Final = re.compile(r"(?:https?:[/\\]*|[/\\]{2,})([^/?#]*)", re.IGNORECASE)
_PORT: Final = re.compile(r":[^\]:]*\Z")
_NO_URL: Final = "There is no URL in this text. Submit one, such as example.com."
_DEFANGABLE: Final = re.compile(r"(http)(s?://)([^/?#]*)(.*)", re.DOTALL)


def parse(text: str, policy: AddressPolicy = DEFAULT_POLICY) -> ParsedUrl:
    """Return the URL that a user meant, or raise `UrlRefusedError`."""
    bare = _clean(text, MAX_BYTES)
    if not bare:
        _refuse(Reason.EMPTY, _NO_URL)
    text = _refang(bare)
    _check_authority(text)
    parsed = _judged(text, None, policy, MAX_BYTES)
    # Most URLs come as they are kept, and have been refanged just now.
    again = text if parsed.url == bare else _refang(parsed.url)
    if again != parsed.url:
        _refuse(
            Reason.AMBIGUOUS,
            "The URL's host looks like a defanged one, and as it stands it is another. Submit it "
            "as a browser's address bar shows it.",
        )
    return parsed


def resolve(
    base: ParsedUrl | str,
    location: str,
    policy: AddressPolicy = DEFAULT_POLICY,
    *,
    is_strict: bool = False,
) -> ParsedUrl:
    """Return where a redirect or a link on the page `base` leads, or raise `UrlRefusedError`.

    `base` is a URL that `parse` or `resolve` returned. It is read as browsers read it: nothing is
    refanged, and no quotes or marks are taken off. What is strict is refused where other programs
    would read another host.
    """
    base_url = base if isinstance(base, str) else base.url
    _check_size(location, MAX_REDIRECT_BYTES)
    text = _as_parsed(location)
    if is_strict:
        _check_authority(text)
    return _judged(text, base_url, policy, MAX_REDIRECT_BYTES)


def username(text: str, base: str | None = None) -> str:
    """Return the user name before the host, which `parse` and, with a base, `resolve` drop.

    Empty where there is none, also in what cannot be parsed.
    """
    try:
        return URL(_refang(_clean(text, MAX_BYTES)) if base is None else text, base).username
    except (ValueError, UrlRefusedError):
        return ""


def origin(url: ParsedUrl | str) -> str:
    """Return `scheme://host[:port]`, or `null` for what has no origin, as browsers say."""
    try:
        return URL(url if isinstance(url, str) else url.url).origin
    except ValueError:
        return "null"


def defang(url: ParsedUrl | str) -> str:
    """Return the URL so that no program makes a link of it: `hxxp://example[.]com/`.

    Brackets of its own that `parse` would take for a defanged dot's are percent-encoded, so that
    the text leads to the same page again.
    """
    text = url if isinstance(url, str) else url.url
    match = _DEFANGABLE.match(text)
    if match is None:
        return text.replace(".", "[.]")
    _, rest, authority, tail = match.groups()
    for pattern in (TAIL_DOT, TAIL_MARK):
        tail = pattern.sub(lambda mark: f"%{ord(mark[0][0]):02X}{mark[0][1:]}", tail)
    return f"hxxp{rest}{authority.replace('.', '[.]')}{tail}"


def _refuse(reason: Reason | Rule, message: str) -> NoReturn:
    raise UrlRefusedError(reason, message)


def _clean(text: str, max_bytes: int) -> str:
    """Take off what surrounds the URL; refuse what no URL may hold."""
    text = text.strip()
    _check_size(text, max_bytes)
    bare = text.strip(_INVISIBLE).strip()
    while bare[:1] + bare[1:][-1:] in _QUOTES:
        bare = bare[1:-1].strip()
    if _CONTROL.search(bare):
        _refuse(
            Reason.CONTROL_CHARACTER,
            "The URL has a line break, a tab or another control character inside. Remove it.",
        )
    return bare


def _check_size(text: str, max_bytes: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        _refuse(Reason.ENCODING, "The URL is not valid Unicode text. Copy it again.")
    if size > max_bytes:
        _refuse(Reason.TOO_LONG, f"The URL is longer than {max_bytes:,} bytes. Shorten it.")


def _as_parsed(text: str) -> str:
    """Leave out what the WHATWG parser does, so that the checks before it see what it sees."""
    return _DROPPED.sub("", text.strip(_EDGES))


def _refang(text: str) -> str:
    """Undo `hxxp`, `[.]`, `(dot)` and the like, and give text without a scheme one.

    The path is refanged only where scheme or host were defanged: it may mean its brackets.
    """
    try:
        return _refanged(unmarked(text))
    except TwoHostsError as two:
        _refuse(
            Reason.AMBIGUOUS,
            f"This can be read as two hosts: {two.as_written[:80]!r} as it is written, and "
            f"{two.as_meant[:80]!r} if it is defanged. Submit the one that you mean.",
        )


def _refanged(text: str) -> str:
    web = _WEB_SCHEME.match(text)
    rest = text[web.end() :] if web else _without_scheme(text)
    end = next((at for at, char in enumerate(rest) if char in "/?#\\"), len(rest))
    is_plain = web is not None and (web[1].lower(), web[3]) == ("http", ":")
    authority, tail_dot = undotted(rest[:end], is_plain=is_plain)
    tail = rest[end:]
    if authority != rest[:end] or (web and not is_plain):
        tail = tail_dot.sub(".", tail)
    scheme = f"http{web[2].lower()}" if web else _guessed_scheme(authority)
    return f"{scheme}://{authority}{tail}"


def _without_scheme(text: str) -> str:
    """Return text that has no scheme, or refuse the scheme it has."""
    match = _SCHEME.match(text)
    if match and (match["port"] is None or match[1].lower() in NAMED_SCHEMES):
        _refuse_scheme(match[1])
    return text.removeprefix("//")


def _guessed_scheme(authority: str) -> str:
    if "@" in authority:
        _refuse(
            Reason.AMBIGUOUS,
            "This looks like an e-mail address. Submit a URL; one with a user name starts with "
            "http:// or https://.",
        )
    if _WORDS.fullmatch(authority):
        _refuse(Reason.NO_URL, _NO_URL)
    return "https" if _TLS_PORT.search(authority) else "http"


def _refuse_scheme(scheme: str) -> NoReturn:
    _refuse(
        Reason.SCHEME,
        f"SafeURL opens http and https URLs, not {scheme[:40]!r} ones. "
        "Submit the http or https URL that it leads to.",
    )


def _judged(text: str, base: str | None, policy: AddressPolicy, max_bytes: int) -> ParsedUrl:
    try:
        # Read again, whole: Ada does not hand the kind of a base's host on to what it resolves.
        url = URL(URL(text, base).href)
    except ValueError:
        _refuse_unparsable(text)
    scheme = url.protocol.removesuffix(":")
    if scheme not in _DEFAULT_PORTS:
        _refuse_scheme(scheme)
    url.username = url.password = ""
    if len(url.href) > max_bytes:
        _refuse(
            Reason.TOO_LONG, f"Written out in ASCII, the URL is longer than {max_bytes:,} bytes."
        )
    port = int(url.port or _DEFAULT_PORTS[scheme])
    host = url.hostname.strip("[]")
    is_literal = url.host_type != HostType.DEFAULT
    if is_literal:
        check_literal(host, policy)
    else:
        check_name(host)
    check_port(port, policy)
    return ParsedUrl(url.href, scheme, host, port, is_literal)


def _authority(text: str) -> tuple[str, str]:
    """Return the part that names the host for browsers, and what it is for others besides."""
    match = _AUTHORITY.match(text)
    authority, _, beyond = (match[1] if match else "").partition("\\")
    return authority, beyond


def _check_authority(text: str) -> None:
    """Refuse a URL of which programs read different hosts."""
    authority, beyond = _authority(text)
    if "@" in beyond or any(char.isspace() for char in authority):
        _refuse(
            Reason.AMBIGUOUS,
            "Programs disagree on which host this URL leads to, because of the space or "
            "backslash before its path. Submit it with the one host that you mean.",
        )
    if "%00" in authority:
        _refuse(Reason.CONTROL_CHARACTER, "The URL's host holds a NUL (%00). Remove it.")


def _refuse_unparsable(text: str) -> NoReturn:
    """Name what the parser, which says only that it failed, did not like."""
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in _DEFAULT_PORTS:
        _refuse_scheme(scheme[1])
    host = _authority(text)[0].rpartition("@")[2]
    name = _PORT.sub("", host)
    if not name:
        _refuse(Reason.EMPTY_HOST, "The URL names no host. Submit one, such as example.com.")
    if host.startswith("[") and "%" in host:
        _refuse(Rule.SCOPED, "The URL's IPv6 address has a zone, so it is local. Remove the zone.")
    if name != host and URL.can_parse(f"http://{name}"):
        _refuse(Rule.PORT_INVALID, "The URL's port is not a number up to 65535. Correct it.")
    refuse_host(host)
