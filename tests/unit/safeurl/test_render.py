"""What hostile text looks like in a terminal."""

import pytest

from safeurl.cli.render import clean, safe_url


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("two\nlines\r\nhere", "two lines here"),
        ("a\u202eevil\u202c", "a evil"),
        ("\x9b1;31m", "1;31m"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("x" * 500, "x" * 159 + "…"),
        ("\ud800", ""),
    ],
)
def test_clean_text(hostile: str, shown: str) -> None:
    """Control and direction marks go, everything is one short line."""
    assert clean(hostile) == shown


def test_urls_are_defanged() -> None:
    """A URL in text output cannot be clicked."""
    assert safe_url("https://evil.example/a") == "hxxps://evil[.]example/a"
