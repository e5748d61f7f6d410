"""The page on architecture says what the code is: its rooms in their order, and files that are there."""

import re
from pathlib import Path

import integrity
from tests.unit.test_layers import LAYERS, RACE_ROOMS

ROOT = Path(integrity.__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_page_lists_the_rooms_as_the_imports_are_held_to() -> None:
    block = re.search(r"```layers\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    lines = [re.split(r"\s{2,}", line, maxsplit=1) for line in block[1].splitlines()]
    words = {"words"}  # the last: single modules, of which there are many
    assert [set(rooms.split()) for rooms, _ in lines] == [*LAYERS[:-1], words]
    assert all(meaning for _, meaning in lines)
    within_race = " ".join(room for room in RACE_ROOMS if room)
    assert f"`{within_race}`" in PAGE


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:integrity|tests|invariants|queries|README)[\w./<>]*)`", PAGE)) - {"integrity.toml"}
    assert len(named) > 30
    # Of a name with <...> in it: anything that has its form.
    assert [name for name in sorted(named) if not any(ROOT.glob(re.sub(r"<\w+>", "*", name)))] == []
