"""Records the values that a script assigns to variables and properties."""

from collections.abc import Iterator

from fetcher.page.script.functions import Path
from fetcher.page.script.tokens import Tokens
from fetcher.page.script.values import BASES, Evaluator

_ASSIGNMENTS = frozenset({"=", "+=", ":"})


def assigned_names(tokens: Tokens) -> Iterator[int]:
    """Yield the names before `=`, `+=` and `:`."""
    before = (at for at, symbol in enumerate(tokens.symbols, -1) if symbol in _ASSIGNMENTS)
    return filter(tokens.is_name, before)


def assign(tokens: Tokens, values: Evaluator, at: int) -> None:
    """Record the assignments `a = …`, `a.b = …`, `a += …` and `a: …`."""
    symbol = tokens.symbol(at + 1)
    value, _ = values.expression(at + 2)
    if value is None and symbol != "=" and tokens.symbol(at + 2) in BASES:
        value = Path((tokens.symbol(at + 2),))
    name = tokens.texts[at]
    if symbol == ":":
        values.known[f"*.{name}"] = value
        return
    if tokens.symbol(at - 1) == "." and tokens.is_name(at - 2):
        owner = tokens.texts[at - 2]
        name = name if owner in BASES else f"{owner}.{name}"
    if value is None and tokens.symbol(at + 2) in BASES:
        value = Path((tokens.symbol(at + 2),))
    values.assign(name, value, append=symbol == "+=")
