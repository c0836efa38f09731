"""The picture that a load leaves."""

import pytest

from bench.load.outcome import Outcome, SpokenTurn
from bench.report.load_charts import draw

MACHINE = {"cpu": "a processor", "cores": 2, "memoryGB": 8.0, "command": "python -m bench.load"}


@pytest.mark.parametrize(
    "outcomes",
    [
        [Outcome(0.0, session="s", agent=0.4, sound=0.6), Outcome(0.0, session="s", failed="no agent")],
        [
            Outcome(1.0, session="s", agent=0.4, sound=0.6, turns=[SpokenTurn(0.7), SpokenTurn(None)]),
            Outcome(5.0, session="s", agent=0.5, overlap=3.0),
            Outcome(9.0, refused=True, failed="no"),
        ],
        [],
    ],
    ids=["a burst", "talking callers", "nobody"],
)
def test_a_picture_is_drawn_of_whatever_happened(tmp_path, outcomes):
    draw(tmp_path / "load.png", "calls", outcomes, MACHINE)
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
