"""URLs in which programs see different hosts, one of them always a private one that listens.

They are templates: `{open}` is host and port that the policy
allows, `{inner}` host and port of a canary that it does not. The canary's `{port}` is open too, so
it is the host, or the spelling, that a refusal is about. In the tests' DNS `open.example` leads
to the allowed address, all other names to a canary.
"""

from dataclasses import dataclass

from safeurl.address import Rule
from safeurl.url import Reason

#: What plays the public and the private addresses, so that no packet leaves loopback.
OPEN_HOST = "127.0.0.1"
INNER_HOST = "127.0.0.2"
#: Where the canary listens; on the allowed address a spelling can be all that is refused.
CANARY_HOSTS = (OPEN_HOST, INNER_HOST, "127.0.0.3", "::1")

#: Names that would lead to a canary if anybody asked the DNS for them.
NAMES = {
    "open.example": OPEN_HOST,
    "inner.example": INNER_HOST,
    "b": INNER_HOST,
    "x": INNER_HOST,
    "y": INNER_HOST,
    "localhost": OPEN_HOST,
    "app.localhost": OPEN_HOST,
    "a.b.localhost": OPEN_HOST,
}
#: Those that may be asked for: what they lead to is judged by its address.
ASKED_NAMES = frozenset({"open.example", "inner.example"})

_WIDE = str.maketrans("0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19")


@dataclass(frozen=True, slots=True)
class Ground:
    """The ports on which the pages and the canary listen."""

    open_port: int
    port: int

    def fill(self, template: str) -> str:
        """Return the URL that the template is for here."""
        return template.format(
            open=f"{OPEN_HOST}:{self.open_port}",
            inner=f"{INNER_HOST}:{self.port}",
            open_port=self.open_port,
            port=self.port,
            wide_port=str(self.port).translate(_WIDE),
            wrapped_port=self.port + 2**16,
            hex_port=f"{self.port:#x}",
        )


#: Each with the rule that refuses it unchanged.
REFUSED: dict[str, str] = {
    "http://a@b:{port}/": Reason.SINGLE_LABEL,
    "http://{open} &@{inner}# @127.0.0.3:{port}/": Reason.AMBIGUOUS,
    "http://x:{open_port}\\@y:{port}/": Reason.AMBIGUOUS,
    "http://{open}\\@{inner}/": Reason.AMBIGUOUS,
    "http://{inner}\\@{open}/": Reason.AMBIGUOUS,
    "http://{inner}\\.open.example/": Rule.LOOPBACK,
    "http://open.example@{inner}/": Rule.LOOPBACK,
    "http://{open}@{open}@{inner}/": Rule.LOOPBACK,
    "http://open.example%40{inner}/": Reason.HOST_INVALID,
    "http://open.example%2f@{inner}/": Rule.LOOPBACK,
    "http://{inner}#@{open}/": Rule.LOOPBACK,
    "http://{inner}?@{open}/": Rule.LOOPBACK,
    "http:\\\\{inner}\\": Rule.LOOPBACK,
    "//{inner}/": Rule.LOOPBACK,
    "/\\{inner}/": Rule.LOOPBACK,
    "\t http://{inner}/ ": Rule.LOOPBACK,
    "http://127.0.\t0.2:{port}/": Reason.CONTROL_CHARACTER,
    "http://{open}\t@{inner}/": Reason.CONTROL_CHARACTER,
    "ht\ttp:/\t/{inner}/": Reason.CONTROL_CHARACTER,
    "http://127.0.\n0.2:{port}/": Reason.CONTROL_CHARACTER,
    "http://127.0.\r\n 0.2:{port}/": Reason.CONTROL_CHARACTER,
    "http://127.0.0.2%00.open.example:{port}/": Reason.CONTROL_CHARACTER,
    "http://open.example%00@{inner}/": Reason.CONTROL_CHARACTER,
    "http://127.0.0.1:+{port}aaa/": Rule.PORT_INVALID,
    "http://127.0.0.1:{port}aaa/": Rule.PORT_INVALID,
    "http://127.0.0.1:{wrapped_port}/": Rule.PORT_INVALID,
    "http://127.0.0.1:{hex_port}/": Rule.PORT_INVALID,
    "http://127.0.0.1:{wide_port}/": Rule.PORT_INVALID,
    "http://{open}:{port}/": Rule.PORT_INVALID,
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff12:{port}/": Rule.LOOPBACK,
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2461:{port}/": Rule.LOOPBACK,
    "http://127.0.0.2.:{port}/": Rule.LOOPBACK,
    "http://127.0.0.2..:{port}/": Reason.HOST_INVALID,
    "http://inner.example.:{port}/": Rule.LOOPBACK,
    "http://inner.example..:{port}/": Reason.HOST_INVALID,
    "http://localhost.:{port}/": Reason.LOCAL_NAME,
    "http://app.localhost:{port}/": Reason.LOCAL_NAME,
    "http://a.b.localhost.:{port}/": Reason.LOCAL_NAME,
}

#: In a page or a header the standard alone decides: tabs and line breaks are taken out (a header
#: ends at a line break, or has a space there), and a backslash is a slash.
REFUSED_BY_STANDARD: dict[str, str] = {
    "http://{open} &@{inner}# @127.0.0.3:{port}/": Rule.LOOPBACK,
    "http://x:{open_port}\\@y:{port}/": Reason.SINGLE_LABEL,
    "http://{inner}\\@{open}/": Rule.LOOPBACK,
    "http://127.0.\t0.2:{port}/": Rule.LOOPBACK,
    "http://{open}\t@{inner}/": Rule.LOOPBACK,
    "ht\ttp:/\t/{inner}/": Rule.LOOPBACK,
    "http://127.0.\n0.2:{port}/": Rule.LOOPBACK,
    "http://127.0.\r\n 0.2:{port}/": Reason.HOST_INVALID,
    "http://127.0.0.2%00.open.example:{port}/": Reason.HOST_INVALID,
    "http://open.example%00@{inner}/": Rule.LOOPBACK,
}

#: Those that the standard reads as allowed, each with what the allowed server is asked for.
LANDING: dict[str, str] = {
    "http://{inner}@{open}/at": "/at",
    "http://{inner}@{inner}@open.example:{open_port}/at": "/at",
    "http://{open}/at?@{inner}/": "/at?@{inner}/",
    "http://{open}/at#@{inner}/": "/at",
    "http:{inner}/": "/{inner}/",
    "http:/{inner}/": "/{inner}/",
}

#: The gateway refuses it, since the fetcher sends no such spelling.
LANDING_BY_STANDARD: dict[str, str] = {"http://{open}\\@{inner}/": "/@{inner}/"}
