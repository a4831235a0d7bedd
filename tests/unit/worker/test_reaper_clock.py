"""The time by which the reaper computes a container's age."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_engine import engine
from worker.sandbox import labels
from worker.sandbox.reaper import Reaper

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("took_s", [0, 1, 5, 14])
async def test_a_container_made_during_the_list_is_young(tmp_path: Path, took_s: int) -> None:
    """It uses the time after the list, so that such a container is young and not looked up."""
    now = [_START]
    asked: list[str] = []

    def listed() -> list[dict[str, object]]:
        now[0] += timedelta(seconds=took_s)
        owner = labels.SandboxLabels(
            instance="i", scan="s", attempt=1, deadline_at=_START + timedelta(hours=1)
        )
        return [{"Id": "1", "Created": now[0].timestamp(), "Labels": labels.build(owner)}]

    async def is_over(scan: str, _attempt: int) -> bool:
        asked.append(scan)
        return False

    path = tmp_path / "engine"
    with engine(path, ApiVersion="1.45", MinAPIVersion="1.24") as fake:
        fake.containers = listed
        assert await Reaper(str(path), "i").sweep(lambda: now[0], is_over) == []
    assert asked == []
