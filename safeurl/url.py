"""Parses URLs as a browser does: refangs them, normalises them, and refuses unusable ones.

The parser is Ada, the WHATWG parser of Node.js. It finds the host that the victim's browser opens,
for every way to write that host. Our own rules are added: a URL is refused if other programs read
another host in it, or if the address policy forbids its host or port.

- Text without a scheme gets `http://`, as mail and chat clients do when they make links
  (`https://` if it names port 443). A redirect to https is then part of the evidence.
- User name and password are not sent. The host is what follows the last `@`.
- The fragment is kept, because phishing pages put the victim's address there.
- A trailing dot of the host is kept, because servers see it. The rules ignore it.
- A host may contain every character that the DNS can hold, as in `a!b.example`, because wildcard
  records answer for such names.

If `parse` gets a URL that it returned before, it returns the same URL.
"""

import re
from typing import Final, NoReturn

from ada_url import URL, HostType
from msgspec import Struct

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

#: The longest URL that a user may submit, in bytes of UTF-8, before and after normalising.
MAX_BYTES: Final = 2048
#: The longest redirect target. Sign-in pages redirect to longer URLs than users submit. A report's
#: field for a URL has the same limit.
MAX_REDIRECT_BYTES: Final = 8192

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ParsedUrl(Struct, frozen=True):
    """A URL that may be opened. `host` is ASCII without brackets; `port` is always set."""

    #: The normalised URL, without credentials and with its fragment.
    url: str
    scheme: str
    host: str
    port: int
    #: True if `host` is an IP address, which the address policy has then allowed.
    is_literal: bool


#: Names of schemes, so that `data:1` is not read as a host with a port.
NAMED_SCHEMES: Final = frozenset(
    {
        *("about", "blob", "chrome", "data", "dict", "file", "filesystem", "ftp", "ftps", "gopher"),
        *("imap", "intent", "jar", "javascript", "ldap", "ldaps", "mailto", "mhtml", "netdoc"),
        *("phar", "php", "pop3", "rtsp", "sftp", "sip", "smb", "sms", "smtp", "ssh", "tel"),
        *("telnet", "tftp", "urn", "vbscript", "view-source", "ws", "wss"),
    }
)

#: Pairs of marks that surround a URL in a mail or a chat.
_QUOTES: Final = frozenset({"<>", '""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\xab\xbb"})
#: Marks without width that are copied together with text.
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: The characters that the WHATWG URL parser removes from the ends, and those from the middle.
_EDGES: Final = "".join(map(chr, range(0x21)))
_DROPPED: Final = re.compile(r"[\t\n\r]")
_WEB_SCHEME: Final = re.compile(
    r"(h(?:tt|xx|xt|tx|\*\*)p)(s?)(:|\[:\]|\[://\])[/\\]*", re.IGNORECASE
)
_SCHEME: Final = re.compile(
    r"([a-z][a-z0-9+.-]*):(?P<port>[0-9]{1,5}(?:[/?#\\]|\Z))?", re.IGNORECASE
)
#: Several words, or only punctuation, in the place of the host.
_WORDS: Final = re.compile(r"[^:@\[]*\s[^:@\[]*|[^\w:\[\]]+")
_TLS_PORT: Final = re.compile(r":0*443\Z")
#: The authority as RFC 3986 reads it. A browser ends it at the first backslash too.
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
    # Most URLs are normalised already. They have been refanged above, so this is not done again.
    again = text if parsed.url == bare else _refang(parsed.url)
    if again != parsed.url:
        _refuse(
            Reason.AMBIGUOUS,
            "The URL's host looks defanged, but without a change it is another host. Submit it "
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
    """Return the target of a redirect or a link on the page `base`, or raise `UrlRefusedError`.

    `base` is a URL that `parse` or `resolve` returned. `location` is read as browsers read it:
    it is not refanged, and quotes and marks are kept. If `is_strict` is true, a location in which
    other programs read another host is refused.
    """
    base_url = base if isinstance(base, str) else base.url
    _check_size(location, MAX_REDIRECT_BYTES)
    text = _as_parsed(location)
    if is_strict:
        _check_authority(text)
    return _judged(text, base_url, policy, MAX_REDIRECT_BYTES)


def username(text: str, base: str | None = None) -> str:
    """Return the user name before the host, which `parse` and, with a base, `resolve` remove.

    Return an empty string if there is none, or if the text cannot be parsed.
    """
    try:
        return URL(_refang(_clean(text, MAX_BYTES)) if base is None else text, base).username
    except (ValueError, UrlRefusedError):
        return ""


def origin(url: ParsedUrl | str) -> str:
    """Return `scheme://host[:port]`, or `null` if the URL has no origin, as browsers do."""
    try:
        return URL(url if isinstance(url, str) else url.url).origin
    except ValueError:
        return "null"


def defang(url: ParsedUrl | str) -> str:
    """Return the URL in a form that programs do not make a link of: `hxxp://example[.]com/`.

    Brackets of the URL itself that `parse` would read as a defanged dot are percent-encoded.
    `parse` therefore returns a URL that leads to the same page.
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
    """Return the URL without quotes and blanks around it; refuse control characters and excess."""
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
    """Return the text without what the WHATWG parser ignores: our checks then read the same URL."""
    return _DROPPED.sub("", text.strip(_EDGES))


def _refang(text: str) -> str:
    """Return the text with `hxxp`, `[.]`, `(dot)` and similar marks undone, and with a scheme.

    The path is refanged only if the scheme or the host was defanged, because brackets may belong
    to a path.
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
    """Return text that has no scheme; refuse text that has one."""
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
        # Parsed twice: a URL that Ada resolved does not have the host type of its base.
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
    """Return the authority as browsers read it, and the part that only other programs add to it."""
    match = _AUTHORITY.match(text)
    authority, _, beyond = (match[1] if match else "").partition("\\")
    return authority, beyond


def _check_authority(text: str) -> None:
    """Refuse a URL in which programs read different hosts."""
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
    """Refuse a URL that the parser rejected; find the reason, which the parser does not give."""
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
