from pathlib import Path

import numpy as np
import pytest

from mdlm.system.clock import check_times, frame_time_of
from mdlm.system.readers import Source


def source(name, times):
    """A file whose frames bear these times, ps, in single precision as files keep them."""
    times = np.asarray(times, np.float32)
    stamps = (float(times[0]), float(times[1]), float(times[-1]))
    return Source(Path(name), len(times), 1, False, stamps)


@pytest.mark.parametrize("frame_time", [0.002, 0.1, 0.25, 1.0, 2.5, 4.8, 100.0])
@pytest.mark.parametrize("first", [0.0, 20.0])
def test_the_frame_time_is_the_decimal_number_that_was_meant(frame_time, first):
    assert frame_time_of([source("a.xtc", first + frame_time * np.arange(5001))]) == frame_time


def test_late_stamps_that_are_coarse_one_by_one_still_tell_it_together():
    """After 1 us single precision knows a time to 0.06 ps."""
    times = 1e6 + 0.2 * np.arange(20_001)
    assert frame_time_of([source("a.xtc", times)]) == 0.2
    check_times(source("a.xtc", times), 0, times.astype(np.float32), 0.2)


def test_stamps_too_coarse_to_tell_it_are_refused():
    with pytest.raises(
        ValueError, match=r"^path: the times in a.xtc are too coarse to tell the frame time, .*frame_time="
    ):
        frame_time_of([source("a.xtc", 1e6 + 0.2 * np.arange(5))])


def test_a_file_of_another_frame_time_is_named():
    with pytest.raises(
        ValueError, match=r"^path: b.xtc has a frame every 2 ps, a.xtc every 1 ps; all trajectories must"
    ):
        frame_time_of([source("a.xtc", np.arange(100)), source("b.xtc", 2 * np.arange(50))])


def test_files_may_begin_at_different_times():
    assert frame_time_of([source("a.xtc", np.arange(100)), source("b.xtc", 1000 + np.arange(50))]) == 1.0


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 0, 0], r"path: the times in a.xtc do not rise \(0, 0 ps\)"),
        ([5, 4, 3], "path: the times in a.xtc do not rise"),
        (
            [0, 1, 2, 3, 5],
            "path: a.xtc has 5 frames, 1 ps apart at first, but ends at 5 ps instead of 4 ps: frames are",
        ),
        (
            [*range(50), *range(50)],
            "path: a.xtc has 100 frames, 1 ps apart at first, but ends at 49 ps instead of 99 ps",
        ),
    ],
)
def test_times_that_do_not_rise_evenly_are_refused(times, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        frame_time_of([source("a.xtc", times)])


def test_the_first_frame_that_is_not_where_the_clock_has_it_is_named():
    """Two frames change places, which their first and last times do not show."""
    times = np.array([10.0, 11.0, 13.0, 12.0, 14.0])
    whole = source("a.xtc", times)
    assert frame_time_of([whole]) == 1.0
    check_times(whole, 0, times[:2], 1.0)
    with pytest.raises(ValueError, match=r"^path: a.xtc bears 13 ps at frame 2 instead of 12 ps \(1 ps a frame\)"):
        check_times(whole, 1, times[1:], 1.0)
