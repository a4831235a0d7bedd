"""Finds out what a form asks for, from the names and labels of its fields."""

import re
from collections.abc import Iterator

from safeurl.model.report import Form, FormField

#: The most fields that are read of a form, and the most letters of a name. Pages may have more.
MAX_FIELDS = 64
_MAX_LABEL = 96
#: The most further targets of a form; a report contains no more.
_MAX_TARGETS = 16
_CARD_NUMBER = re.compile(
    r"(?:card|cc|credit|debit|kart\w{0,3}|tarjeta|carte)[\s_.-]{0,3}(?:number|num|no\b|nr\b|n\b)|"
    r"cardno|ccnum|\bpan\b|num\w{0,3}[\s_.-]{0,3}(?:de[\s_.-]{0,3})?(?:la[\s_.-]{0,3})?(?:tarjeta|carte)|"
    r"kartennummer|カード番号",
)
_CARD_CODE = re.compile(
    r"\b(?:cvv2?|cvc2?|csc|cvn|cid)\b|(?:card|security)[\s_.-]{0,3}(?:cvv|cvc|code)|cvvcode|"
    r"(?:^|[_\W])cv[vc]|セキュリティ",
)


def asks_password(form: Form) -> bool:
    """Return whether a form asks for a password."""
    return form.has_password or any(f.type.lower() == "password" for f in form.fields)


def asks_card(form: Form) -> bool:
    """Return whether a form asks for both a card number and its security code."""
    labels = [label(field) for field in form.fields[:MAX_FIELDS]]
    has_number = any(_CARD_NUMBER.search(text) for text in labels)
    return has_number and any(_CARD_CODE.search(text) for text in labels)


def label(field: FormField) -> str:
    """Return the name or label of the field in lower case."""
    return f"{field.name[:_MAX_LABEL]} {field.placeholder[:_MAX_LABEL]}".lower()


def names(form: Form) -> str:
    """Return the names of the first fields, for an excerpt."""
    return ", ".join(f.name or f.placeholder or f.type for f in form.fields[:MAX_FIELDS])


def targets(form: Form) -> Iterator[tuple[str, str]]:
    """Yield every URL that the form can send to, after its pointer inside of the form."""
    yield "action", form.action
    for i, url in enumerate(form.targets[:_MAX_TARGETS]):
        yield f"targets/{i}", url
