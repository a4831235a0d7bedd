"""The picture and the table of the phases in docs/performance.md."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import msgspec
import pytest

from safeurl.model.attempt import PHASES
from safeurl.services.phase_figures import OTHER, path_figures
from tests.bench.phase_chart import chart
from tests.bench.phases import table
from tests.support.attempt_rows import COLD, WARM, make_attempt

_SVG = "{http://www.w3.org/2000/svg}"
_KINDS = msgspec.to_builtins(path_figures([make_attempt(), make_attempt(COLD)]))["kinds"]
_NAMES = [*PHASES, OTHER]


def test_each_bar_begins_where_the_last_one_ends() -> None:
    """All have one scale, so that warm and cold can be compared."""
    root = ET.fromstring(chart(_KINDS))  # noqa: S314 - made by us
    _ground, *bars = [
        (float(bar.get("x", "0")), float(bar.get("width", "0"))) for bar in root.iter(f"{_SVG}rect")
    ]
    warm, cold = bars[: len(_NAMES)], bars[len(_NAMES) :]
    assert len(cold) == len(_NAMES)
    for kind, times in ((warm, WARM), (cold, COLD)):
        ends = [end for _, end in pairwise(x for x, _ in kind)]
        scale = (ends[-1] - kind[0][0]) / sum(times)
        begins = [x - kind[0][0] for x, _ in kind]
        wanted = [sum(times[:number]) * scale for number in range(len(_NAMES))]
        assert begins == pytest.approx(wanted, abs=0.1)
        assert scale == pytest.approx((760 - 96 - 100) / sum(COLD), rel=0.01)
    words = [each.text for each in root.iter(f"{_SVG}text")]
    assert [name for name in _NAMES if words.count(name) != 2] == []


def test_the_table_has_every_phase_and_the_whole() -> None:
    """For each kind of start."""
    rows = [line.split(" | ") for line in table(_KINDS).splitlines()[2:]]
    assert [row[1].strip("`") for row in rows] == [*_NAMES, "total"] * 2
    assert rows[6] == ["| warm", "`fetch`", "30.0", "30.0", "52% |"]
