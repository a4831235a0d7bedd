"""The doctor's flood of a gateway: the line about ours, and about one that delays scans."""

from pathlib import Path

from safeurl.settings import Settings
from worker.doctor.checks.fairness import fairness, latency_finding
from worker.doctor.finding import Status


async def test_our_gateway_is_fair(tmp_path: Path) -> None:
    """A real gateway, a real flood and real requests; nothing is left behind."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path)})
    found = await fairness(settings)
    assert (found.name, found.status) == ("gateway-fairness", Status.PASS), found.detail
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_holds_scans_up_fails() -> None:
    """By twice the calm figure, and by enough that a busy machine alone does not explain it."""
    for calm_s, beside_s, status in (
        (0.002, 0.004, Status.PASS),
        (0.002, 0.2, Status.PASS),
        (0.002, 0.3, Status.FAIL),
        (0.4, 0.7, Status.PASS),
        (0.4, 0.9, Status.FAIL),
    ):
        assert latency_finding(calm_s, beside_s).status == status


async def test_it_is_not_tried_where_there_is_no_gateway(tmp_path: Path) -> None:
    """With a bridge there is no gateway to flood; if a gateway does not start, the check fails."""
    bridge = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path), "CONTAINER_NETWORK": "bridge"})
    assert "not used" in (await fairness(bridge)).detail
    (tmp_path / "file").touch()
    broken = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path / "file" / "x")})
    assert (await fairness(broken)).status == Status.FAIL
