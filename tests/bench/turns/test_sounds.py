"""What is said to both ways of ending a turn."""

import numpy as np

from bench.harness.speech import RATE
from bench.turns.sounds import HESITATION_SECONDS, LEAD_SECONDS, everything, hesitations


def test_everything_comes_over_every_path_and_ends_where_its_last_sound_does():
    said = everything(quick=True)
    assert [(each.path, each.hesitates) for each in said] == [
        *[(path, False) for path in ("file", "opus", "telephone") for _ in range(2)],
        *[("opus", True)] * 2,
    ]
    for each in said:
        assert LEAD_SECONDS < each.ended <= len(each.samples) / RATE
        assert np.abs(each.samples).max() > 1000


def test_a_hesitation_is_a_pause_where_it_is_quietest():
    loud, quiet = np.full(RATE, 9000, np.int16), np.full(RATE // 5, 20, np.int16)
    clip = np.concatenate([loud, quiet, loud[: RATE // 2], quiet, loud])
    for broken in hesitations(clip):
        assert len(broken) - len(clip) == HESITATION_SECONDS * RATE
        silent = np.flatnonzero(broken == 0)
        assert abs(broken[silent[0] - 1]) == 20
        assert abs(broken[silent[-1] + 1]) == 20
