"""The core pack: one module per kind of evidence."""

from safeurl.analysis.rule import Ruleset
from safeurl.analysis.rules import (
    chain,
    context,
    file,
    form,
    host,
    html,
    lure,
    tls,
    url,
)

CORE = Ruleset(
    "core-4",
    url.RULES
    + host.RULES
    + tls.RULES
    + chain.RULES
    + html.RULES
    + form.RULES
    + lure.RULES
    + file.RULES
    + context.RULES,
)
