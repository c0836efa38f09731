"""What many answers come to."""

import numpy as np
import pytest

from bench.report.turn_charts import draw
from bench.turns.figures import AFTER, BEFORE, early, missing, reached, summary, times
from bench.turns.replay import Answered
from bench.turns.sounds import Said

MACHINE = {"cpu": "a processor", "cores": 2, "memoryGB": 8.0, "command": "python -m bench.turns"}


def answered(seconds: float | None, *, early: bool = False, hesitates: bool = False) -> Answered:
    return Answered(Said("file", np.zeros(1, np.int16), 1.0, hesitates), seconds, early)


GIVEN = [
    answered(0.7),
    answered(0.5),
    answered(None),
    answered(None, early=True),
    answered(0.9, hesitates=True),
    answered(None, early=True, hesitates=True),
]


def test_hesitations_count_for_what_came_early_alone():
    assert times(GIVEN) == [0.5, 0.7]
    assert early(GIVEN, hesitates=False) == (1, 4)
    assert early(GIVEN, hesitates=True) == (1, 2)
    assert missing(GIVEN) == 1
    assert summary("now", GIVEN)["early"] == "1 of 4"


def test_what_is_aimed_at_is_told_where_it_is_not_reached():
    assert reached({BEFORE: GIVEN, AFTER: [answered(0.5)]}) == []
    late = [answered(1.1), answered(None, early=True), answered(None, early=True)]
    assert len(reached({BEFORE: GIVEN, AFTER: late})) == 3
    assert len(reached({BEFORE: GIVEN, AFTER: []})) == 2


@pytest.mark.parametrize("given", [GIVEN, []], ids=["answers", "none"])
def test_a_picture_is_drawn_of_whatever_happened(tmp_path, given):
    draw(tmp_path / "turns.png", {BEFORE: given, AFTER: given}, MACHINE)
    assert (tmp_path / "turns.png").read_bytes().startswith(b"\x89PNG")
