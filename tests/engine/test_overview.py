"""A run as a whole: time left from recorded and simulated runs, on a clock of the test's own."""

from __future__ import annotations

import pytest

from corpuscurate.engine.overview import MEASURING, SETTLING, WRITING, Overview, Tracker

MB = 1_000_000


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


RECORDED = {
    "16 cores, 2 workers, 4 GB": (9.4, 10.6, 17.4, 0.35, 2, 4000),
    "16 cores, 16 workers, 4 GB": (1.7, 3.2, 3.7, 0.35, 16, 4000),
    "2 vCPUs, 1 worker, 1 GB": (2.3, 2.1, 3.9, 0.35, 1, 1000),
}
"""Seconds of measuring, settling and writing, share of reading in measuring, workers, MB: of a near-duplicate run."""


def drive(name: str, load: float = 1.0, resumed: float = 0.0) -> list[tuple[float, Overview]]:
    """Play a recorded run in 100 tasks a phase, on a machine that is `load` times as slow; (moment, overview) of each
    change, the moment as a share of the whole time. resumed: share of the first pass that was done before."""
    measuring, settling, writing, reading, workers, size = RECORDED[name]
    clock, seen = Clock(), []
    phases = [(MEASURING, "reading", "0"), (SETTLING, "deciding: minhash", "minhash"), (WRITING, "writing", "")]
    tracker = Tracker(phases, lambda overview: seen.append((clock.now, overview)), clock=clock)
    began = clock.now
    tracker.enter(0)
    tracker.wave(size * MB)
    before = int(100 * resumed)
    for task in range(100):
        seconds = load * measuring * workers / 100
        result = {"documents": 1000, "kept": 990, "seconds": seconds}
        result["stages"] = {"minhash": {"seconds": seconds * (1 - reading)}}
        if task < before:
            tracker.resumed(1, size * MB // 100)
        else:
            clock.now += load * measuring / 100
            tracker.advance(size * MB // 100)
        tracker.task_done(size * MB // 100, result, fresh=task >= before)
    tracker.enter(1)
    for _ in range(10):
        tracker.wave(0)
        clock.now += load * settling / 10
        tracker.tell()
    tracker.enter(2)
    tracker.counted(25_000)
    tracker.wave(size * MB)
    for _ in range(100):
        clock.now += load * writing / 100
        tracker.advance(size * MB // 100)
    whole = clock.now - began
    return [((moment - began) / whole, overview) for moment, overview in seen]


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("load", [1.0, 7.0])
def test_time_left_is_right_within_a_third_after_a_tenth(name: str, load: float) -> None:
    seen = drive(name, load)
    whole = seen[-1][1].seconds
    late = [(moment, overview) for moment, overview in seen if 0.1 <= moment < 0.95]
    assert len(late) > 100
    for moment, overview in late:
        assert overview.seconds_left is not None
        assert abs(overview.seconds + overview.seconds_left - whole) <= whole / 3, (moment, overview)


def test_the_share_never_falls_and_ends_at_one() -> None:
    shares = [overview.share for _, overview in drive("2 vCPUs, 1 worker, 1 GB")]
    assert shares == sorted(shares) and shares[0] < 0.05 and shares[-1] == pytest.approx(1.0)


def test_before_anything_is_known_no_time_is_invented() -> None:
    _, first = drive("2 vCPUs, 1 worker, 1 GB")[0]
    assert (first.seconds_left, first.mb_per_second, first.documents_per_second) == (None, None, None)


def test_counts_and_rates() -> None:
    seen = [overview for _, overview in drive("2 vCPUs, 1 worker, 1 GB")]
    end_of_first = [overview for overview in seen if overview.number == 1][-1]
    assert (end_of_first.documents, end_of_first.dropped) == (100_000, 1000)
    assert end_of_first.mb_per_second == pytest.approx(1000 / 2.3)
    assert end_of_first.documents_per_second == pytest.approx(100_000 / 2.3)
    deciding = next(overview for overview in seen if overview.number == 2)
    assert deciding.mb_per_second is None and deciding.documents_per_second is None
    assert seen[-1].dropped == 25_000


def test_what_was_done_before_takes_no_time_and_has_no_rate() -> None:
    seen = [overview for _, overview in drive("2 vCPUs, 1 worker, 1 GB", resumed=0.6)]
    resumed = [overview for overview in seen if overview.resumed_tasks == 60]
    assert (seen[1].resumed_tasks, seen[1].bytes) == (60, 10_000_000)
    end_of_first = [overview for overview in resumed if overview.number == 1][-1]
    assert end_of_first.mb_per_second == pytest.approx(1000 / 2.3)
    assert end_of_first.documents_per_second == pytest.approx(100_000 / 2.3)
    whole = seen[-1].seconds
    for overview in seen:
        if 0.15 * whole <= overview.seconds < 0.95 * whole:
            assert overview.seconds_left is not None
            assert abs(overview.seconds + overview.seconds_left - whole) <= whole / 3, overview


def test_a_run_whose_first_pass_was_finished_before() -> None:
    seen = [overview for _, overview in drive("2 vCPUs, 1 worker, 1 GB", resumed=1.0)]
    writing = [overview for overview in seen if overview.number == 3]
    assert writing[50].seconds_left == pytest.approx(writing[-1].seconds - writing[50].seconds, rel=0.05)


def test_no_phases_nothing_to_tell() -> None:
    told: list[Overview] = []
    tracker = Tracker((), told.append)
    tracker.wave(5)
    tracker.advance(5)
    tracker.resumed(1, 5)
    tracker.task_done(5, {"stages": {}}, fresh=True)
    assert told == []
