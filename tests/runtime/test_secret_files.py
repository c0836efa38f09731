from pathlib import Path

import pytest

from runtime.secret_files import SecretFileError, from_files


def test_a_secret_may_come_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    told = {"A_FILE": str(tmp_path / "secret"), "B_FILE": "", "OTHER_FILE": "/nowhere"}
    assert from_files(["A", "B", "C"], told) == {"A": "s3cret"}


def test_one_that_is_set_itself_wins(tmp_path: Path) -> None:
    assert from_files(["A"], {"A": "here", "A_FILE": str(tmp_path / "nowhere")}) == {}


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretFileError, match="A_FILE names a file that cannot be read"):
        from_files(["A"], {"A_FILE": str(tmp_path / "secret")})
