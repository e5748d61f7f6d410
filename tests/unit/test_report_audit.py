"""Reports of an audit: one set of events, four formats, none of which a value can break."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from integrity.events import AuditFinished, AuditStarted, Event, InvariantJudged
from integrity.report.audit_json import render_json
from integrity.report.audit_junit import render_junit
from integrity.report.audit_markdown import render_markdown
from integrity.report.audit_report import AuditReport, collect
from integrity.report.audit_text import render_text
from integrity.report.values import show
from integrity.verdict import InvariantVerdict, Severity, Verdict

TAKEN_AT = datetime(2026, 1, 17, 18, 30, tzinfo=UTC)
HOSTILE = "a\x1b[31m|`<b>&\x00\n]]>"


def judged(
    name: str,
    verdict: Verdict,
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    count: int | None = None,
    severity: Severity = Severity.ERROR,
    reason: str = "",
    calls: Sequence[Mapping[str, Any]] = (),
) -> InvariantJudged:
    finding = InvariantVerdict(name, verdict, len(rows) if count is None else count, rows, 0.25, "query", reason)
    return InvariantJudged(
        finding=finding,
        title=f"title of {name}",
        severity=severity,
        source="books",
        why="money is lost",
        hint="a missing lock",
        path=f"invariants/{name}.sql",
        rows_estimate=10,
        operation_count=len(calls),
        calls=calls,
    )


def report(*events: InvariantJudged) -> AuditReport:
    started = AuditStarted("postgresql://db/bank", tuple(e.finding.name for e in events), TAKEN_AT, "one snapshot (1-1)")
    told: list[Event] = [started, *reversed(events), AuditFinished(1.5)]
    return collect(told)


CALL = {
    "operation_id": "00000000-0000-7000-8000-000000000001",
    "operation": "withdraw",
    "client": 3,
    "invoked_at": "2026-01-17 18:30:00.000123+00",
    "returned_at": None,
    "outcome": "unknown",
    "arguments": '{"wallet_id": 41}',
}
MIXED = report(
    judged("bank/balance", Verdict.VIOLATED, rows=[{"wallet_id": 41, "total": "800"}], count=1200, calls=[CALL]),
    judged("bank/gone", Verdict.UNKNOWN, reason="bank/gone.sql:3: no such column\n  3 | where x\n            ^"),
    judged("bank/late", Verdict.VIOLATED, rows=[{"id": 1}], severity=Severity.WARNING),
    judged("bank/right", Verdict.HOLDS),
)


def test_text_shows_what_is_amiss_the_violated_first_and_counts_the_rest() -> None:
    assert render_text(MIXED) == (
        "verdict    invariant     severity      rows  method      seconds\n"
        "---------  ------------  ----------  ------  --------  ---------\n"
        "violated   bank/balance               1,200  query          0.25\n"
        "violated   bank/late     warning          1  query          0.25\n"
        "unknown    bank/gone                         query          0.25\n"
        "\n"
        "1 holds; --verbose lists each.\n"
        "\n"
        "violated  bank/balance  error  1,200 rows\n"
        "  title of bank/balance\n"
        "  why it matters: money is lost\n"
        "\n"
        "  the first 1 of 1,200:\n"
        "  wallet_id    total\n"
        "  -----------  -------\n"
        "  41           800\n"
        "\n"
        "  calls of these operations:\n"
        "  operation_id                          operation    client    invoked_at       returned_at"
        "    outcome    arguments\n"
        "  ------------------------------------  -----------  --------  ---------------  -------------"
        "  ---------  -----------------\n"
        "  00000000-0000-7000-8000-000000000001  withdraw     3         18:30:00.000123  null        "
        "   unknown    {\"wallet_id\": 41}\n"
        "\n"
        "  look for: a missing lock\n"
        "\n"
        "violated  bank/late  warning  1 row\n"
        "  title of bank/late\n"
        "  why it matters: money is lost\n"
        "\n"
        "  id\n"
        "  ----\n"
        "  1\n"
        "\n"
        "  look for: a missing lock\n"
        "\n"
        "unknown  bank/gone\n"
        "  bank/gone.sql:3: no such column\n"
        "    3 | where x\n"
        "              ^\n"
        "\n"
        "postgresql://db/bank at 2026-01-17 18:30:00 UTC, in 1.5 s:\n"
        "  one snapshot (1-1)\n"
        "2 of 4 invariants violated: bank/balance, bank/late; 1 unknown: bank/gone."
    )  # fmt: skip


def test_what_holds_and_what_had_nothing_to_judge_is_listed_where_it_is_asked_for_and_else_counted() -> None:
    kinds = {"a": Verdict.HOLDS, "b": Verdict.EMPTY, "c": Verdict.UNKNOWN, "d": Verdict.VIOLATED, "e": Verdict.HOLDS}
    made = report(*(judged(f"bank/{name}", verdict) for name, verdict in kinds.items()))
    for render in (render_text, render_markdown):
        brief, whole = render(made), render(made, is_verbose=True)
        assert [re.findall(r"bank.([a-e])\b", line)[:1] for line in brief.splitlines() if "query" in line] == [["d"], ["c"]]
        assert re.findall(r"bank.([a-e])\b.*query", whole) == list("dcbae")
        assert "2 hold, 1 had nothing to judge" in brief
        assert "--verbose" not in whole
    calm = report(*(judged(f"bank/{name}", kinds[name]) for name in "ae"))
    assert render_text(calm).splitlines()[-1] == "All 2 invariants hold."
    assert "bank/a" not in render_text(calm)
    empty = report(*(judged(f"bank/{name}", kinds[name]) for name in "ab"))
    assert render_text(empty).startswith("1 had nothing to judge (bank/b); --verbose lists each.\n")


@pytest.mark.parametrize(
    ("verdicts", "sentence", "exit_code"),
    [
        ([], "No invariant was judged.", 3),
        (["holds"], "The only invariant holds.", 0),
        (["holds", "holds"], "All 2 invariants hold.", 0),
        (["holds", "unknown"], "1 of 2 invariants unknown: bank/1.", 3),
        (["holds", "warning"], "1 of 2 invariants violated (warnings only): bank/1.", 0),
        (["unknown", "warning"], "1 of 2 invariants violated (warnings only): bank/1; 1 unknown: bank/0.", 3),
        (["unknown", "violated"], "1 of 2 invariants violated: bank/1; 1 unknown: bank/0.", 1),
        (["empty"], "The only invariant had nothing to judge: the tables are empty.", 3),
        (["empty", "empty"], "None of 2 invariants had anything to judge: the tables are empty.", 3),
        (["holds", "empty", "empty"], "1 holds, 2 had nothing to judge.", 0),
        (["holds", "holds", "empty"], "2 hold, 1 had nothing to judge.", 0),
        (["empty", "unknown"], "1 of 2 invariants unknown: bank/1; 1 had nothing to judge.", 3),
        (["empty", "violated"], "1 of 2 invariants violated: bank/1; 1 had nothing to judge.", 1),
        (["violated"] * 5, "5 of 5 invariants violated: bank/0, bank/1, bank/2 and 2 more.", 1),
    ],
)
def test_the_sentence_and_the_exit_code_follow_the_verdicts(verdicts: list[str], sentence: str, exit_code: int) -> None:
    made = report(
        *(
            judged(
                f"bank/{number}",
                Verdict.VIOLATED if verdict == "warning" else Verdict(verdict),
                severity=Severity.WARNING if verdict == "warning" else Severity.ERROR,
            )
            for number, verdict in enumerate(verdicts)
        )
    )
    assert (made.sentence, made.exit_code) == (sentence, exit_code)


def test_where_it_is_asked_for_an_invariant_that_had_nothing_to_judge_is_as_good_as_unknown() -> None:
    made = report(judged("bank/a", Verdict.HOLDS), judged("bank/b", Verdict.EMPTY, reason="bank.b is empty"))
    assert (made.exit_code, replace(made, fails_on_empty=True).exit_code) == (0, 3)


def test_nothing_to_judge_is_told_apart_in_every_format() -> None:
    made = report(judged("bank/a", Verdict.HOLDS), judged("bank/b", Verdict.EMPTY, reason="bank.b is empty"))
    assert "nothing to judge  bank/b" in render_text(made, is_verbose=True)
    assert "| nothing to judge | bank/b    |      | query  |" in render_markdown(made, is_verbose=True)
    assert json.loads(render_json(made))["invariants"][1]["verdict"] == "empty"
    suites = ElementTree.fromstring(render_junit(made))  # noqa: S314  # our own output
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors"), suites.get("skipped")) == (
        "2",
        "0",
        "0",
        "1",
    )
    skipped = suites.find(".//skipped")
    assert skipped is not None
    assert skipped.get("message") == "nothing to judge: bank.b is empty"


def test_a_violation_whose_rows_cannot_be_shown_says_why_in_every_format() -> None:
    reason = "its rows cannot be shown: out of memory"
    made = report(judged("bank/a", Verdict.VIOLATED, count=3, reason=reason))
    for render in (render_text, render_junit, render_json):
        assert reason in render(made)
    assert reason in render_markdown(made).replace("\\", "")


def test_json_holds_everything_and_the_rows_as_they_were_read() -> None:
    rows = [{"id": 2**63 - 1, "is_open": True, "total": "800.10", "ends_at": "infinity", "note": None}]
    made = json.loads(render_json(report(judged("bank/x", Verdict.VIOLATED, rows=rows))))
    assert made["invariants"][0]["rows"] == rows
    counts = {"holds": 0, "violated": 1, "unknown": 0, "empty": 0}
    assert (made["format"], made["exit_code"], made["counts"]) == (1, 1, counts)
    assert made["taken_at"] == "2026-01-17T18:30:00+00:00"


@pytest.mark.parametrize("render", [render_text, render_json, render_junit, render_markdown])
def test_every_format_says_what_the_role_could_do_and_what_an_audit_could_not_know(
    render: Callable[[AuditReport], str],
) -> None:
    doubted = report(judged("bank/asked-for", Verdict.UNKNOWN, reason="run 7 is noted as running, and is not"))
    made = render(replace(doubted, started=replace(doubted.started, caution="asked as boss, a superuser")))
    assert ("asked as boss, a superuser" in made, "run 7 is noted as running" in made) == (True, True)


def test_junit_shows_a_caution_as_a_property_and_as_output_and_none_where_there_is_none() -> None:
    cautious = replace(MIXED, started=replace(MIXED.started, caution="asked as \x00 boss"))
    suite = ElementTree.fromstring(render_junit(cautious))[0]  # noqa: S314  # our own output
    said = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert said["caution"] == "asked as \N{REPLACEMENT CHARACTER} boss"
    assert suite.findtext("system-out") == "caution: asked as \N{REPLACEMENT CHARACTER} boss\n"
    plain = ElementTree.fromstring(render_junit(MIXED))[0]  # noqa: S314  # our own output
    assert ({each.get("name") for each in plain.iter("property")}, plain.find("system-out")) == (
        {"database", "consistency"}, None,
    )  # fmt: skip


def test_junit_has_a_testcase_for_each_with_failures_and_errors() -> None:
    suites = ElementTree.fromstring(render_junit(MIXED))  # noqa: S314  # our own output
    suite = suites.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert {case.get("classname") for case in cases.values()} == {"bank"}
    failure = cases["balance"].find("failure")
    assert failure is not None
    assert failure.get("message") == "title of bank/balance: 1,200 rows"
    assert failure.text == "wallet_id=41  total=800\nand 1,199 rows more\nmoney is lost\nlook for: a missing lock"
    error = cases["gone"].find("error")
    assert error is not None
    assert error.get("message") == "bank/gone.sql:3: no such column"
    assert cases["late"].find("failure") is None
    assert cases["late"].findtext("system-out", "").startswith("title of bank/late\nid=1")
    assert list(cases["right"]) == []


def test_markdown_reads_as_it_stands() -> None:
    made = report(
        judged("bank/x", Verdict.VIOLATED, rows=[{"account_id": 1, "valid": "[2026-01-01,infinity)", "note": "a|b"}]),
        judged("bank/y", Verdict.UNKNOWN, reason="bank/y.sql:2: no such column\n  2 | x\n      ^"),
        judged("bank/z", Verdict.UNKNOWN, reason="late"),
        judged("bank/held", Verdict.HOLDS),
    )
    assert (
        render_markdown(made)
        == """\
# Data integrity

1 of 4 invariants violated: bank/x; 2 unknown: bank/y, bank/z.

postgresql\\://db/bank at 2026-01-17 18:30:00 UTC: one snapshot (1-1)

| verdict  | invariant | rows | method |
| -------- | --------- | ---- | ------ |
| violated | bank/x    | 1    | query  |
| unknown  | bank/y    |      | query  |
| unknown  | bank/z    |      | query  |

1 holds; --verbose lists each.

## Violated: bank/x

title of bank/x: 1 row

money is lost

| account_id | valid                 | note |
| ---------- | --------------------- | ---- |
| 1          | [2026-01-01,infinity) | a\\|b |

Look for: a missing lock

## Unknown: bank/y

```
bank/y.sql:2: no such column
  2 | x
      ^
```

## Unknown: bank/z

late
"""
    )


MARKED = st.lists(
    st.sampled_from([*"\\`*_{}[]()#+-.!|~<>&@:$=^ \t1a", "ab", "\n", "&amp;", "<b>", "http://a.b", "1. "])
).map("".join)


@given(MARKED, MARKED)
@example("- x", "# x #")
@example("](a) [b]: c ![d](e) [f][g]", "<b> </b> <!-- &#35; &amp;")
@example("a\\", "---")
@example("```", "~~~")
def test_no_text_is_markup_in_markdown_and_all_of_it_is_shown(text: str, cell: str) -> None:
    """The same blocks as with a plain text in its place, nothing in them but text, and that as it was given."""
    assume(text.strip() and cell.strip())
    blocks, shown = read_markdown(text, cell)
    assert blocks == read_markdown("plain", "plain")[0]
    assert {" ".join(f"{text}: 1 row".split()), " ".join(text.split()), " ".join(show(cell).split())} <= shown


def read_markdown(text: str, cell: str) -> tuple[list[str], set[str]]:
    """Return the blocks that a reader of Markdown sees in a report with that title and that value, and their texts."""
    violated = replace(judged("bank/x", Verdict.VIOLATED, rows=[{"id": cell, "b": 1}]), title=text, why=text, hint=text)
    made = report(violated, judged("bank/y", Verdict.UNKNOWN, reason=f"{text}\n{cell}"))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(render_markdown(made))
    kinds = [f"{token.type} {' '.join(sorted({each.type for each in token.children or ()}))}" for token in tokens]
    fenced = next(token.content for token in tokens if token.type == "fence")
    assert fenced == "".join(f"{line}\n" for line in f"{text}\n{cell}".splitlines())
    return kinds, {" ".join("".join(each.content for each in token.children or ()).split()) for token in tokens}


@pytest.mark.parametrize("text", ["see http://a.b", "www.a.b", "ada@example.org", "ask @ada", "$x$", "~x~", "a\\*b"])
def test_what_pages_make_links_and_formulas_of_is_escaped_in_markdown(text: str) -> None:
    assert text not in render_markdown(report(judged("bank/x", Verdict.VIOLATED, rows=[{"id": text}])))


@pytest.fixture
def hostile() -> AuditReport:
    rows = [{HOSTILE: HOSTILE, "long": "x" * 10_000}]
    made = report(
        judged("bank/x", Verdict.VIOLATED, rows=rows, calls=[{**CALL, "arguments": HOSTILE}]),
        judged("bank/y", Verdict.UNKNOWN, reason=HOSTILE),
    )
    return replace(made, judged=[replace(one, title=HOSTILE, why=HOSTILE, hint=HOSTILE) for one in made.judged])


def test_no_value_breaks_the_xml(hostile: AuditReport) -> None:
    suites = ElementTree.fromstring(render_junit(hostile))  # noqa: S314  # our own output
    assert len(suites.findall(".//testcase")) == 2


def test_no_value_breaks_a_markdown_table_or_becomes_markup(hostile: AuditReport) -> None:
    text = render_markdown(hostile)
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    unescaped = [line.replace("\\|", "") for line in tables]
    assert {line.count("|") for line in unescaped} == {5, 3, 8}  # the three tables' columns, and no more
    outside = text.partition("\n```")[0]
    assert ("<b>" in text, "<b>" in outside.replace("\\<", "")) == (True, False)


def test_no_value_reaches_the_terminal_as_a_command(hostile: AuditReport) -> None:
    text = render_text(hostile)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert max(map(len, text.splitlines())) < 400


def test_no_value_breaks_the_json(hostile: AuditReport) -> None:
    assert json.loads(render_json(hostile))["counts"]["violated"] == 1
