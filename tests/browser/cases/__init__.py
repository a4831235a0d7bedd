"""The cases by kind: each module of this package with `CASES` is a kind."""

import importlib
import pkgutil

from tests.browser.case import Case


def kinds() -> dict[str, tuple[Case, ...]]:
    """Return the cases of each module of this package, by the module's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").CASES for name in names}
