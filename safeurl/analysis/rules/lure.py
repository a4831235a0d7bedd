"""Signs in the page's instructions to its visitor. Texts are folded: lower case, one line."""

import re
from collections.abc import Iterator

from safeurl.analysis.context import Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.analysis.text import around
from safeurl.model.verdict import Category, Group

#: Instructions to open the window in which a command is run …
_RUN = re.compile(
    r"(?:win(?:dows)?(?: key| button| logo)?|⊞) ?(?:\+|and|plus|-) ?[\"'“]?[rx]\b|run dialog|"
    r"open (?:the )?(?:windows )?(?:powershell|terminal|command prompt)|"
    r"(?:command|cmd|⌘) ?\+ ?space|windows-taste|touche windows|tecla windows|клавиш\w{0,3} win",
)
#: … to paste the text that the page put on the clipboard …
_PASTE = re.compile(r"(?:ctrl|control|strg|command|cmd|⌘) ?(?:\+|and|-) ?v\b|paste (?:it|the)")
#: … as a proof to get access. "To fix the error" would match such pages too, but also real support
#: pages.
_PRETEXT = re.compile(
    r"(?:verify|confirm|prove)(?: that)?(?: you are| you're| you| i am| i'm)?(?: not)? (?:a )?"
    r"(?:human|robot|real person)|i'?m not a robot|human verification|captcha|"
    r"verification (?:steps?|id|hash)|"
    r"no eres un robot|pas un robot|kein roboter|nie jestem robotem|non sono un robot|не робот",
)
_COMMAND = re.compile(
    r"\b(?:powershell|pwsh|mshta|msiexec|osascript|bitsadmin|certutil|regsvr32|rundll32|wscript)\b"
    r"(?:\.exe)?[ \"']{1,3}\S|\bcmd(?:\.exe)? /[ck]\b|"
    r"\b(?:curl|wget)\b[^|]{0,200}\| ?(?:ba|z)?sh\b|"
    r"\bnslookup\b.{0,100}\||\biex ?\(|invoke-expression|frombase64string",
)
#: Instructions with a larger distance belong to an article, not to three steps.
_STEPS_CHARS = 700
#: A page with such instructions is short and has few links. An article about them is longer.
_LURE_CHARS = 2500
_LURE_LINKS = 12

_PHONE = re.compile(
    r"(?<![\d/])(?:\+?1[ .-]{0,2})?\(?8[0-9]{2}\)?[ .-]{0,2}\d{3}[ .-]{0,2}\d{4}(?!\d)|"
    r"(?<!\d)\+?1?[ .-]{0,2}\(\d{3}\)[ .-]{0,2}\d{3}[ .-]{0,2}\d{4}(?!\d)|"
    r"(?<!\d)0[ -]{0,2}1?[358]0{1,2}[ -]{0,2}\d{3}[ -]{0,2}\d{3,4}(?!\d)"
)
_VENDOR = re.compile(r"\b(?:microsoft|windows|apple|macos|norton|mcafee|defender|google chrome)\b")
_ALARMS = (
    re.compile(r"(?:do not|don't|never) (?:close|shut ?down|restart|turn off|ignore)"),
    re.compile(
        r"(?:computer|pc|device|system|mac|access)[^.!]{0,60}(?:blocked|locked|infected|disabled)"
    ),
    re.compile(
        r"(?:trojan|spyware|malware|virus(?:es)?|pegasus|zeus)[^.!]{0,60}(?:detected|found|alert)"
    ),
    re.compile(r"call (?:us |now|immediately|support|microsoft|windows|apple|our|the|toll)"),
    re.compile(r"error (?:code|#)|0x[0-9a-f]{6,8}\b"),
    re.compile(
        r"(?:personal|banking|financial|credit card)[^.!]{0,60}"
        r"(?:stolen|at risk|compromised|danger)"
    ),
    re.compile(
        r"within (?:the next )?\d{1,2} minutes|toll[- ]free|security (?:alert|warning|breach)"
    ),
)
_ENOUGH_ALARMS = 3

_WALLET = re.compile(r"connect (?:your |a )?wallet|import (?:your )?wallet|select (?:your )?wallet")
_WALLET_BAIT = re.compile(
    r"claim (?:your |now|free|airdrop|reward|token)|airdrop|rectif|validate (?:your )?wallet|"
    r"synchroni[sz]e|(?:token|wallet) migration|whitelist|"
    r"restore (?:your )?wallet|wallet (?:error|issue)",
)
_THREAT = re.compile(
    r"(?:account|mailbox|card|access|subscription|profile)[^.!]{0,60}(?:suspended|limited|restricted|locked|"
    r"on hold|deactivated|terminated|disabled|expire[sd]?)|unusual (?:sign-?in |login )?activity|"
    r"password[^.!]{0,40}expire|(?:アカウント|カード|口座).{0,30}(?:制限|停止)",
)
_DEMAND = re.compile(
    r"(?:verify|confirm|update|restore|validate|re-?activate|unlock)[^.!]{0,40}"
    r"(?:account|identity|information|details|payment|billing|mailbox|card|access)|"
    r"within \d{1,2} hours|"
    r"本人確認|更新",
)


def clickfix(ctx: Context) -> Iterator[Finding]:
    """Find instructions to run a command, with the command in the text."""
    if (at := _steps(ctx)) and _is_short(ctx) and _COMMAND.search(ctx.text):
        reason = "The page has its visitor run a command in order to be let in."
        yield Finding("/page/text", reason, around(ctx.text, *at))


def clickfix_steps(ctx: Context) -> Iterator[Finding]:
    """Find the same instructions without the command, which is on the clipboard."""
    if (at := _steps(ctx)) and _is_short(ctx):
        reason = (
            "The page tells its visitor to open the run box and paste, as proof of being human."
        )
        yield Finding("/page/text", reason, around(ctx.text, *at))


def tech_support(ctx: Context) -> Iterator[Finding]:
    """Find a vendor's name, a warning and a phone number, on a foreign host."""
    text = f"{ctx.title} {ctx.text}"
    phone = _PHONE.search(text)
    alarms = sum(1 for alarm in _ALARMS if alarm.search(text))
    if phone and _VENDOR.search(text) and alarms >= _ENOUGH_ALARMS and not ctx.final.owner:
        reason = "The page raises an alarm in a vendor's name and gives a number to call."
        yield Finding(
            "/page/text" if ctx.page.text else "/page", reason, around(text, *phone.span())
        )


def wallet_bait(ctx: Context) -> Iterator[Finding]:
    """Find an offer of a gain or a repair for connecting a wallet."""
    wallet = _WALLET.search(ctx.text)
    if wallet and _WALLET_BAIT.search(ctx.text) and not ctx.final.owner:
        reason = "The page offers something for connecting a wallet."
        yield Finding("/page/text", reason, around(ctx.text, *wallet.span()))


def account_threat(ctx: Context) -> Iterator[Finding]:
    """Find a threat to an account, a demand and a form for the password together."""
    threat = _THREAT.search(ctx.text)
    if threat and _DEMAND.search(ctx.text) and ctx.logins and not ctx.final.owner:
        reason = "The page threatens the loss of an account and asks for a password."
        yield Finding("/page/text", reason, around(ctx.text, *threat.span()))


def _steps(ctx: Context) -> tuple[int, int] | None:
    """Return the position at which the pretext, the run box and the pasting are close together."""
    run, paste, pretext = (p.search(ctx.text) for p in (_RUN, _PASTE, _PRETEXT))
    if not (run and paste and pretext):
        return None
    spans = [m.span() for m in (run, paste, pretext)]
    start, end = min(s for s, _ in spans), max(e for _, e in spans)
    return (run.start(), paste.end()) if end - start <= _STEPS_CHARS else None


def _is_short(ctx: Context) -> bool:
    return len(ctx.text) <= _LURE_CHARS and ctx.page.links_total <= _LURE_LINKS


RULES = (
    Rule(
        id="lure.clickfix",
        group=Group.LURE,
        weight=Weight.DECISIVE,
        categories=(Category.MALWARE,),
        check=clickfix,
    ),
    Rule(
        id="lure.clickfix_steps",
        group=Group.LURE,
        weight=Weight.HEAVY,
        categories=(Category.MALWARE,),
        check=clickfix_steps,
    ),
    Rule(
        id="lure.tech_support",
        group=Group.LURE,
        weight=Weight.STRONG,
        categories=(Category.SCAM,),
        check=tech_support,
    ),
    Rule(
        id="lure.wallet_bait",
        group=Group.LURE,
        weight=Weight.MODERATE,
        categories=(Category.SCAM,),
        check=wallet_bait,
    ),
    Rule(
        id="lure.account_threat",
        group=Group.LURE,
        weight=Weight.MODERATE,
        categories=(Category.PHISHING,),
        check=account_threat,
    ),
)
