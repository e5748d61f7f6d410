"""No line of a result is wider than the terminal, but for a word that cannot be broken; what can be pasted still can."""

import shlex
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.report.layout import WIDTH, fold, fold_all, lay_command, lay_table, terminal_width

WORDS = st.text("abcdefghij0123456789-_./", min_size=1, max_size=30)
CELLS = st.lists(WORDS, max_size=12).map(" ".join)


def widest(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def test_a_table_that_fits_stays_as_it_is() -> None:
    assert lay_table([["holds", "1"], ["violated", "12"]], ["verdict", "rows"], align=["left", "right"]) == (
        "verdict      rows\n---------  ------\nholds           1\nviolated       12"
    )


@given(st.data(), st.integers(1, 9), st.integers(60, 200))
def test_no_table_is_wider_than_there_is_room(data: st.DataObject, columns: int, width: int) -> None:
    headers = data.draw(st.lists(WORDS, min_size=columns, max_size=columns))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=columns, max_size=columns), max_size=4))
    align = data.draw(st.lists(st.sampled_from(["left", "right"]), min_size=columns, max_size=columns))
    align = ["left" if any(len(row[n]) > 20 for row in rows) else align[n] for n in range(columns)]
    shown = lay_table(rows, headers, align=align, indent="  ", width=width)
    assert widest(shown) <= width
    letters = Counter("".join(cell for row in rows for cell in row)) + Counter("".join(headers))
    assert [letter for letter in letters - Counter(shown) if not letter.isspace()] == [], "lost"


def test_the_header_of_a_column_of_numbers_is_broken_where_it_is_as_wide_as_half_the_room() -> None:
    headers = ["0", "0", "0" * 29, "0"]
    shown = lay_table([["0" * 28, "", "", ""]], headers, align=["left", "left", "right", "left"], indent="  ", width=60)
    assert widest(shown) <= 60


def test_a_table_gives_up_what_it_can_spare_before_a_word_is_broken_or_a_column_stands_below() -> None:
    headers = ["verdict", "invariant", "rows", "method", "seconds"]
    rows = [["violated", "ghostpass/funding-credited-once", "14", "query, as fingerprints differ", "0.23"]]
    align = ["left", "left", "right", "left", "right"]
    shown = {
        width: lay_table(rows, headers, align=align, spare=("seconds", "method"), width=width).splitlines()
        for width in (120, 76, 66, 60)
    }
    assert [(width, lines[0].split(), len(lines)) for width, lines in shown.items()] == [
        (120, headers, 3),
        (76, headers, 5),
        (66, headers[:4], 5),
        (60, headers[:3], 3),
    ]
    assert all("ghostpass/funding-credited-once" in lines[2] for lines in shown.values())


def test_columns_that_have_no_room_stand_below_with_the_first_again() -> None:
    headers = ["operation", *(f"figure_{n}" for n in range(9))]
    shown = lay_table([["receive_funding_webhook", *("12345.6",) * 9]], headers, align=["left", *["right"] * 9], width=80)
    assert [line.split()[0] for line in shown.splitlines() if line] == [
        "operation",
        "-" * 23,
        "receive_funding_webhook",
    ] * 2
    assert shown.count("12345.6") == 9


@given(st.lists(WORDS, min_size=1, max_size=60).map(" ".join), st.integers(60, 200), st.sampled_from(["", "  ", "      "]))
def test_folded_prose_keeps_its_words_and_its_margin(text: str, width: int, margin: str) -> None:
    shown = fold(margin + text, width=width)
    assert (widest(shown) <= width, shown.split()) == (True, text.split())
    assert all(line.startswith(margin) for line in shown.splitlines())


LABELS = st.sampled_from(["", "replay: ", f"{' ' * 33}hint: Make the data anew: "])


@given(st.lists(WORDS, max_size=3), st.dictionaries(WORDS, WORDS, max_size=8), st.integers(60, 200), LABELS)
def test_a_broken_command_is_the_same_to_a_shell(words: list[str], options: dict[str, str], width: int, label: str) -> None:
    text = " ".join(["integrity", "race", *words, *(f"--{name} {shlex.quote(value)}" for name, value in options.items())])
    shown = lay_command(text, label=label, width=width)
    assert shlex.split(shown.removeprefix(label.rstrip()).replace("\\\n", "")) == shlex.split(text)  # as a shell reads it
    wide = {line.strip().removesuffix(" \\") for line in shown.splitlines() if len(line) > width}
    assert {line for line in wide if " " in line} <= {" ".join(["integrity", "race", *words])}, "stay together"


@pytest.mark.parametrize(("said", "width"), [("", 80), ("wide", 80), ("120", 120), ("9", 60), ("1000", 1000)])
def test_without_a_terminal_there_are_80_letters_or_as_many_as_columns_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, said: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert (terminal_width(), WIDTH) == (width, 80)


def test_a_command_with_a_file_or_a_token_that_is_long_is_pasted_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    for word in (f".integrity/races/{'post-clubs-' * 6}.json", f"r1:{'x' * 32}:{'0' * 12}:0-1:B1A3B5:s"):
        line = f"replay: integrity replay {word}"
        shown = fold_all(lay_command(line.removeprefix("replay: "), label="replay: "))
        assert shown == fold_all(shown), "once more changes nothing"
        assert fold_all(line) == shown
        assert shown.replace("\\\n", "").split() == line.split()
        assert max(map(len, (each for each in shown.splitlines() if word not in each)), default=0) <= WIDTH
    assert fold_all("integrity replay " + "y" * 40) == "integrity replay " + "y" * 40, "what fits stays as it is"
