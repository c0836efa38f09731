"""The generated pages: they are those of this code, and what they leave out is an error."""

import dataclasses
import re
from pathlib import Path

import pytest

from dispatcher.api.errors import STATUS
from dispatcher.settings import DispatcherSettings
from docs import generate
from tests.test_env_example import all_defaults


def page(name: str) -> str:
    return (generate.DOCS / name).read_text("utf-8")


def test_the_pages_are_those_of_this_code():
    assert page("settings.md") == generate.settings_page()
    assert page("api.md") == generate.api_page()
    assert generate.main(["--check"]) == 0


def test_every_setting_is_on_the_page_once():
    lines = page("settings.md").splitlines()
    for names in all_defaults():
        assert len([line for line in lines if line.startswith(f"| `{names[0]}` |")]) == 1, names


def test_every_error_code_is_on_the_page():
    for _, code in STATUS.values():
        assert f"| `{code}` |" in page("api.md")


def test_a_setting_has_its_kind_its_unit_and_its_default():
    rows = {row[0]: row for row in generate.setting_rows(DispatcherSettings)}
    assert rows["`GREENROOM_CLAIM_SECONDS`"][1:3] == ("number (seconds)", "`2`")
    assert rows["`LIVEKIT_API_KEY`"][1:3] == ("text", "must be set")
    assert rows["`REDIS_URL`"][1] == "text, secret"
    assert rows["`GREENROOM_PORT`"][3].endswith("Also read from `PORT`.")


def test_a_setting_without_a_text_is_an_error():
    @dataclasses.dataclass
    class Mute:
        port: int = dataclasses.field(default=1, metadata={"names": ("MUTE_PORT",)})

    with pytest.raises(generate.Undocumented, match=r"Mute\.port"):
        generate.setting_rows(Mute)


def test_marks_are_replaced_by_what_they_name():
    assert generate.filled("a {{ b c }} d", str.upper) == "a B C d"


def test_a_bar_does_not_end_a_cell():
    assert generate.table(("a",), [("x|y",)]).splitlines()[-1] == r"| x\|y |"


def test_every_link_between_our_pages_leads_somewhere():
    root: Path = generate.DOCS.parent
    for path in [*root.glob("*.md"), *generate.DOCS.glob("*.md"), *generate.DOCS.glob("decisions/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
