"""The differences between the suites, Chromium and our readers; README.md explains them."""

from typing import Final

from safeurl.address import Rule
from safeurl.url import Reason

#: Refusals of valid URLs: no scan opens them.
POLICY: Final = frozenset({*Rule, Reason.SINGLE_LABEL, Reason.LOCAL_NAME}) - {Rule.PORT_INVALID}

_PUNYCODE: Final = "Refused by the standard; Chromium and we take it."
_NO_NAME: Final = "A name with an empty label, which the DNS cannot hold, is refused before it."
#: Texts of the URL suite that we read otherwise than it, each with the reason.
URLS: Final = {
    "http://a.b.c.xn--pokxncvks": _PUNYCODE,
    "http://10.0.0.xn--pokxncvks": _PUNYCODE,
    "http://a.b.c.XN--pokxncvks": _PUNYCODE,
    "http://a.b.c.Xn--pokxncvks": _PUNYCODE,
    "http://10.0.0.XN--pokxncvks": _PUNYCODE,
    "http://10.0.0.xN--pokxncvks": _PUNYCODE,
    "http://./": _NO_NAME,
    "http://../": _NO_NAME,
    "http://foo.09..": _NO_NAME,
}
_SPACE: Final = "Chromium writes %20 for a space in a host; the standard and we refuse it."
_TWICE: Final = "Chromium decodes a host's percent signs twice; the standard and we refuse it."
#: Texts of the URL suite that we read otherwise than Chromium, each with the reason.
CHROMIUM_URLS: Final = {
    "http://example example.com": _SPACE,
    "http://GOO\xa0\u3000goo.com": _SPACE,
    "http://192.168.0.1 hello": _SPACE,
    "https://x x:12": _SPACE,
    "http://a b/": _SPACE,
    "http://ho%20st/": _SPACE,
    "http://\uff05\uff14\uff11.com": _TWICE,
    "http://%ef%bc%85%ef%bc%94%ef%bc%91.com": _TWICE,
    "http://%5B::1]": "Chromium takes an encoded bracket; the standard and we refuse it.",
    "http://./": _NO_NAME,
    "http://../": _NO_NAME,
    "http://foo.09..": _NO_NAME,
}

_IN_TEXT: Final = "The suite finds a meta tag inside of a script's or style's text."
#: Cases of the encoding suite that Chromium and we read otherwise than it.
ENCODINGS: Final = {"tests1-55": _IN_TEXT, "tests1-56": _IN_TEXT, "tests1-57": _IN_TEXT}
