"""Cases of the rules about URLs, hosts, certificates and redirects."""

from msgspec.structs import replace

from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from safeurl.model.report import Evidence, Hop, Refusal, Tls
from tests.support.rule_cases import Case, seen, way

SOME = "https://example.net/"


def _tls(url: str = SOME, **fields: object) -> Evidence:
    tls = replace(Tls(version="TLSv1.3", verified=True), **fields)
    return Evidence(hops=(Hop(url=url, status=200, tls=tls),))


def _refused(host: str, rule: str, *, address: str = "", start: str = SOME) -> Evidence:
    led = Refusal(host=host, port=80, rule=rule, address=address, url=start)
    return way(start, refusals=(led,))


def _with_record(reported: str | None, *decisions: EgressDecision) -> Evidence:
    """Return a hop as the sandbox reports it, with the gateway's record."""
    record = EgressEvidence(decisions=decisions, requests=len(decisions))
    return Evidence(hops=(Hop(url=SOME, status=200, address=reported),), egress=record)


def _refused_name(name: str, rule: str) -> Evidence:
    return _with_record(None, EgressDecision(name=name, port=80, rule=rule))


def _refused_sni(sni: str, rule: str, *, reported: str | None = None) -> Evidence:
    """Return a connection that was refused because of the name in its ClientHello."""
    asked = EgressDecision(name="example.net", port=443, address="1.1.1.1", rule=rule, sni=sni)
    return _with_record(reported, asked)


def _second_connection(rule: str, *addresses: str) -> Evidence:
    """Return a submitted host with an allowed connection and a second, refused one."""
    first = EgressDecision(
        name="example.net", port=443, addresses=("1.1.1.1",), address="1.1.1.1", allowed=True
    )
    again = EgressDecision(name="example.net", port=443, addresses=addresses, rule=rule)
    return _with_record("1.1.1.1", first, again)


def _full_record(reported: str) -> Evidence:
    """Return a record with so much junk that most of it was dropped."""
    record = EgressEvidence(decisions=(EgressDecision(name="x", port=1),), dropped=9, requests=10)
    return Evidence(hops=(Hop(url=SOME, status=200, address=reported),), egress=record)


def _head_anomalies(*anomalies: str) -> Evidence:
    """Return a redirect and a response with anomalies in its head."""
    first = Hop(url="https://example.org/", status=302, location=SOME)
    return Evidence(hops=(first, Hop(url=SOME, status=200, anomalies=anomalies)))


def _body_anomalies(*anomalies: str) -> Evidence:
    """Return a page with anomalies in its body."""
    page = seen(SOME)
    assert page.body is not None
    return replace(page, body=replace(page.body, anomalies=anomalies))


def _redirect_to(location: str) -> Evidence:
    """Return a recorded redirect; the credentials are not in the URL of the next hop."""
    first = Hop(url=SOME, status=302, location=location)
    return Evidence(hops=(first, Hop(url="https://example.org/", via="redirect", status=200)))


FIRES = (
    Case("url.userinfo", "a host as user name", "https://paypal.com@example.net/"),
    Case("url.userinfo", "with a password part", "https://www.bank.example:x@example.net/a"),
    Case("url.userinfo", "defanged", "hxxps://paypal[.]com@example[.]net/"),
    Case("url.userinfo", "in a redirect", SOME, _redirect_to("https://paypal.com@example.org/")),
    Case("url.userinfo", "in a relative redirect", SOME, _redirect_to("//paypal.com@example.org/")),
    Case("url.brand_path", "own domain as folder", "https://example.net/www.paypal.com/signin"),
    Case("url.kit_folder", "wp-includes", "https://example.net/wp-includes/owa/Owa.html"),
    Case("url.kit_folder", "acme folder", "https://example.net/.well-known/x/login.php"),
    Case("url.victim_mail", "in the fragment", "https://example.net/a#jo@victim.example"),
    Case("host.embedded_domain", "toll smishing", "https://usps.com-trackhelp.example/us"),
    Case("host.embedded_domain", "labels", "https://www.paypal.com.example.net/"),
    Case("host.embedded_domain", "hyphens", "https://www-paypal-com.example.net/"),
    Case("host.embedded_domain", "another suffix", "https://e-zpassny.com-dk.top/us"),
    Case("host.brand_word", "on free hosting", "https://netflix.vercel.app/"),
    Case("host.brand_word", "hyphenated", "https://my-trezor.example.net/"),
    Case("host.brand_word", "brand of two words", "https://wells.capitalone.example.net/"),
    Case("host.brand_service", "with login", "https://paypal-login.example.net/"),
    Case("host.brand_service", "run on", "https://paypallogin.example.net/"),
    Case("host.brand_service", "common word needs help", "https://apple-support.example.net/"),
    Case("host.brand_service", "first host of the way", "https://coinbase-verify.example.net/"),
    Case("host.lookalike", "digit for letter", "https://paypa1.example.net/"),
    Case("host.lookalike", "rn for m", "https://rnicrosoft.example/"),
    Case("host.lookalike", "swap", "https://wahtsapp.example/"),
    Case("host.lookalike", "letter left out", "https://metamsk.example/"),
    Case("host.lookalike", "Cyrillic, punycode", "https://xn--pypal-4ve.example/"),
    Case("host.many_labels", "hidden site", "https://a.b.c.d.example.net/"),
    Case("host.long_name", "long", f"https://{'a' * 40}.{'b' * 30}.example.net/"),
    Case("host.literal", "IPv4", "http://8.8.8.8/x"),
    Case("host.literal", "IPv6", "http://[2606:4700::1111]/x"),
    Case("tls.expired", "expired", SOME, _tls(not_after="2026-02-01T00:00:00+00:00")),
    Case("tls.expired", "no zone given", SOME, _tls(not_after="2025-02-01T00:00:00")),
    Case("tls.untrusted", "self-signed", SOME, _tls(verified=False, verify_error="self-signed")),
    Case("tls.untrusted", "no word why", SOME, _tls(verified=False)),
    Case("tls.young", "two days", SOME, _tls(not_before="2026-02-28T00:00:00Z")),
    Case(
        "chain.many_sites",
        "four sites",
        "https://a.example/",
        way("https://a.example/", "https://b.example/", "https://c.net/", "https://d.org/"),
    ),
    Case("chain.downgrade", "to http", SOME, way(SOME, "http://example.net/login")),
    Case("chain.http_anomaly", "in a head", SOME, _head_anomalies("header_line", "bare_lf")),
    Case("chain.http_anomaly", "in the body", SOME, _body_anomalies("gzip_trailer")),
    Case("chain.shortener", "bit.ly", "https://bit.ly/x", way("https://bit.ly/x", SOME)),
    Case("chain.metadata_address", "by address", SOME, _refused("169.254.169.254", "link_local")),
    Case(
        "chain.metadata_address",
        "by a name",
        SOME,
        _refused("x.example", "metadata", address="169.254.169.254"),
    ),
    Case("chain.inner_address", "a router", SOME, _refused("192.168.1.1", "private")),
    Case("chain.inner_address", "rule unknown", SOME, _refused("[::1]", "some_new_rule")),
    Case(
        "chain.inner_address", "seen by the gateway", SOME, _refused_name("192.168.1.1", "private")
    ),
    Case("chain.inner_address", "a local name", SOME, _refused("printer.local", "local_name")),
    Case("chain.inner_address", "a bare name", SOME, _refused("intranet", "single_label")),
    Case("chain.inner_address", "by NAT64", SOME, _refused_name("[64:ff9b::7f00:1]", "nat64")),
    Case("chain.inner_address", "by 6to4", SOME, _refused_name("[2002:7f00:1::]", "sixtofour")),
    Case(
        "chain.inner_address", "compatible", SOME, _refused_name("[::127.0.0.1]", "v4_compatible")
    ),
    Case(
        "chain.inner_address",
        "translated",
        SOME,
        _refused_name("[::ffff:0:127.0.0.1]", "v4_translated"),
    ),
    Case(
        "chain.inner_address",
        "a name with a public address as well",
        SOME,
        _with_record(
            None,
            EgressDecision(
                name="x.example",
                port=80,
                addresses=("1.1.1.1", "64:ff9b::a00:1"),
                rule="nat64",
            ),
        ),
    ),
    Case(
        "chain.inner_address",
        "rebinding",
        SOME,
        _second_connection("private", "1.1.1.1", "10.0.0.1"),
    ),
    Case(
        "chain.metadata_address",
        "rebinding",
        SOME,
        _second_connection("metadata", "169.254.169.254"),
    ),
    Case(
        "chain.undialled_address",
        "another address",
        SOME,
        _with_record(
            "198.51.100.7", EgressDecision(name="x", port=443, address="1.1.1.1", allowed=True)
        ),
    ),
    Case("chain.undialled_address", "behind junk", SOME, _full_record("198.51.100.7")),
    Case("chain.other_name", "another name", SOME, _refused_sni("other.example", "sni_mismatch")),
)

SILENT = (
    Case("url.userinfo", "a plain user", "https://jo@example.net/"),
    Case(
        "url.userinfo", "a plain user in a redirect", SOME, _redirect_to("https://jo@example.org/")
    ),
    Case("url.userinfo", "no URL at all", SOME, _redirect_to("https://paypal.com@/x")),
    Case("url.userinfo", "at sign in the path", "https://example.net/@jo.example/post"),
    Case("url.brand_path", "an archive", "https://web.archive.org/web/2020/www.paypal.com/x"),
    Case("url.brand_path", "a brand's word as topic", "https://news.example/tag/paypal/"),
    Case("url.brand_path", "their own site", "https://www.paypal.com/paypal.com/"),
    Case("url.kit_folder", "a picture", "https://example.net/wp-content/uploads/2024/a.jpg"),
    Case("url.kit_folder", "the sign-in", "https://example.net/wp-admin/index.php"),
    Case("url.kit_folder", "security.txt", "https://example.net/.well-known/security.txt"),
    Case("url.victim_mail", "unsubscribe query", "https://example.net/u?m=jo@victim.example"),
    Case("url.victim_mail", "plain anchor", "https://example.net/a#chapter-2"),
    Case("host.embedded_domain", "their own", "https://www.paypal.com/signin"),
    Case("host.embedded_domain", "their country's", "https://www.amazon.co.uk/"),
    Case("host.embedded_domain", "a library", "https://www.apple.com.ezproxy.example.edu/x"),
    Case("host.embedded_domain", "an ordinary .com", "https://blog.com-unity.example/"),
    Case("host.brand_word", "own jobs site", "https://www.amazon.jobs/en"),
    Case("host.brand_word", "part of a word", "https://9to5google.com/"),
    Case("host.brand_word", "a common word", "https://apple-orchard.example.net/"),
    Case("host.brand_word", "a pupil's exercise", "https://netflix-clone-ten.vercel.app/"),
    Case("host.brand_service", "own sign-in", "https://login.microsoftonline.com/"),
    Case("host.brand_service", "own sign-in, other brand", "https://accounts.google.com/"),
    Case("host.brand_service", "sign-in of anybody", "https://login.example.net/"),
    Case("host.brand_service", "single sign-on", "https://paypal-login.okta.com/"),
    Case("host.lookalike", "a newspaper", "https://telegraf.by/"),
    Case("host.lookalike", "plural", "https://googles.example/"),
    Case("host.lookalike", "an honest IDN", "https://xn--mnchen-3ya.example/"),
    Case("host.lookalike", "a short word", "https://line5.example/"),
    Case("host.lookalike", "another brand", "https://www.paypay.ne.jp/"),
    Case("host.many_labels", "a deep public suffix", "https://a.b.s3.eu-west-1.amazonaws.com/"),
    Case("host.long_name", "usual", "https://documentation.example.net/"),
    Case("host.literal", "digits in a name", "https://8-8-8-8.example.net/"),
    Case("tls.expired", "valid", SOME, _tls(not_after="2026-05-01T00:00:00+00:00")),
    Case("tls.expired", "rubbish", SOME, _tls(not_after="soon")),
    Case("tls.untrusted", "good", SOME, _tls()),
    Case(
        "tls.untrusted",
        "expired is another rule's",
        SOME,
        _tls(verified=False, verify_error="certificate has expired"),
    ),
    Case("tls.young", "a month", SOME, _tls(not_before="2026-01-28T00:00:00Z")),
    Case("tls.young", "from the future", SOME, _tls(not_before="2026-04-28T00:00:00Z")),
    Case(
        "chain.many_sites",
        "one site's hosts",
        SOME,
        way(SOME, "https://a.example.net/", "https://b.example.net/", "https://c.example.net/"),
    ),
    Case("chain.downgrade", "upgrade", "http://a.example/", way("http://a.example/", SOME)),
    Case(
        "chain.shortener", "stays", "https://bit.ly/x", way("https://bit.ly/x", "https://bit.ly/")
    ),
    Case("chain.metadata_address", "a closed port", SOME, _refused("mail.example", "port_service")),
    Case("chain.metadata_address", "a router", SOME, _refused("192.168.1.1", "private")),
    Case(
        "chain.inner_address",
        "the submitted host itself",
        "https://intranet.example/",
        _refused("intranet.example", "private", start="https://intranet.example/"),
    ),
    Case("chain.inner_address", "a closed port", SOME, _refused("mail.example", "port_service")),
    Case("chain.inner_address", "public NAT64", SOME, _refused_name("[64:ff9b::101:101]", "nat64")),
    Case("chain.inner_address", "an onion", SOME, _refused("a.onion", "local_name")),
    Case("chain.inner_address", "its host capped", SOME, _second_connection("cap_connections")),
    Case(
        "chain.inner_address",
        "its host refused from the start",
        SOME,
        _refused_name("example.net", "private"),
    ),
    Case(
        "chain.undialled_address",
        "as the gateway says",
        SOME,
        _with_record(
            "1.1.1.1", EgressDecision(name="x", port=443, address="1.1.1.1", allowed=True)
        ),
    ),
    Case("chain.undialled_address", "no connection", SOME, _with_record(None)),
    Case(
        "chain.undialled_address",
        "dialled, then refused",
        SOME,
        _refused_sni("other.example", "sni_mismatch", reported="1.1.1.1"),
    ),
    Case("chain.http_anomaly", "plain HTTP", SOME, _body_anomalies()),
    Case("chain.other_name", "its own name", SOME, _refused_sni("example.net", "public")),
    Case("chain.other_name", "a broken handshake", SOME, _refused_sni("", "tls_malformed")),
)
