"""Claims that wait get members in their order, and no member is lost or given twice."""

import asyncio

from worker.sandbox.pool.waiting import WaitingClaims


async def test_the_claim_that_has_waited_longest_gets_the_member() -> None:
    """Without a claim, nobody gets it."""
    waiting: WaitingClaims[str] = WaitingClaims(lambda _member: None)
    first, second = (asyncio.create_task(waiting.wait(30)) for _ in range(2))
    await asyncio.sleep(0)
    assert len(waiting) == 2
    assert [waiting.give("a"), waiting.give("b"), waiting.give("c")] == [True, True, False]
    assert (await first, await second, len(waiting)) == ("a", "b", 0)


async def test_a_claim_whose_time_is_over_gets_none() -> None:
    """The member goes to the next claim."""
    waiting: WaitingClaims[str] = WaitingClaims(lambda _member: None)
    assert await waiting.wait(0) is None
    waits = asyncio.create_task(waiting.wait(30))
    await asyncio.sleep(0)
    assert waiting.give("a")
    assert await waits == "a"


async def test_a_member_that_comes_with_a_cancellation_is_given_back() -> None:
    """The claim had it already, so nobody else can."""
    given_back: list[str] = []
    waiting: WaitingClaims[str] = WaitingClaims(given_back.append)
    waits = asyncio.create_task(waiting.wait(30))
    await asyncio.sleep(0)
    assert waiting.give("a")
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert (waits.cancelled(), given_back, len(waiting)) == (True, ["a"], 0)


async def test_at_the_end_no_claim_waits() -> None:
    """Each gets none."""
    waiting: WaitingClaims[str] = WaitingClaims(lambda _member: None)
    waits = [asyncio.create_task(waiting.wait(30)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.give_up()
    assert await asyncio.gather(*waits) == [None, None]
