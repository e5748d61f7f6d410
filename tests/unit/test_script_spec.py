"""Specs in isolationtester's form: what is read, and what is said of a file that is not in it."""

from pathlib import Path

import pytest

from integrity.systems.script.spec import SpecError, Turn, load_spec, parse_spec

TEXT = """
# two of them
setup { create table t (id int); }
setup { insert into t values (1); }  # and a row
teardown { drop table t; }

session one
setup { begin; }
step read { select id from t where id = 1; }
step "end it" { commit; }
teardown { select 1; }

session "the ""other"" one"
step write { update t set id = 2 where id = 1; }

permutation read write(*) "end it"
permutation write(read, "end it" notices 2) read "end it"
"""


def test_a_spec_has_setups_a_teardown_sessions_with_steps_and_permutations() -> None:
    spec = parse_spec(TEXT, Path("t.spec"))
    assert spec.setups == ("create table t (id int);", "insert into t values (1);")
    assert spec.teardown == "drop table t;"
    one, other = spec.sessions
    assert (one.name, one.setup, one.teardown) == ("one", "begin;", "select 1;")
    assert [(step.name, step.sql, step.line) for step in one.steps] == [
        ("read", "select id from t where id = 1;", 9),
        ("end it", "commit;", 10),
    ]
    assert other.name == 'the "other" one'
    assert spec.session_of("write") is other
    first, second = spec.permutations
    assert first.turns == (Turn("read"), Turn("write", ("*",)), Turn("end it"))
    assert second.turns[0] == Turn("write", ("read", "end it notices 2"))
    assert second.line == 17


def test_without_permutations_all_are_meant_that_keep_each_sessions_order() -> None:
    spec = parse_spec(TEXT[: TEXT.index("permutation")], Path("t.spec"))
    assert {each.steps for each in spec.all_permutations()} == {
        ("read", "end it", "write"),
        ("read", "write", "end it"),
        ("write", "read", "end it"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.spec:1: expected `session`, the file ends"),
        ("session a\n", "t.spec:2: expected `step`: session a has none, the file ends"),
        ("session a\nstep b\n", "t.spec:3: expected { SQL } behind step b, the file ends"),
        ("session a\nstep b { select 1 ", "t.spec:2: a { that is never closed"),
        ("session step { select 1 }", "t.spec:1: expected a name behind session, found 'step'"),
        ("session a\nstep b {}\nstep b {}", "t.spec:3: step b is there already, in line 2"),
        (
            "session a\nstep b {}\nsession a\nstep c {}",
            "t.spec:4: a second session a; the first step of the other is in line 2",
        ),
        ("session a\nstep b {}\n\npermutation c", "t.spec:4: no session has a step c"),
        ("session a\nstep b {}\npermutation b(c)", "t.spec:3: no session has a step c"),
        ("session a\nstep b {}\npermutation b(*", "t.spec:3: expected `,` or `)` in what b waits for, the file ends"),
        ("session a\nstep b {}\npermutation", "t.spec:3: expected a step's name behind `permutation`, the file ends"),
        ("session a\nstep b {}\nsetup {}", "t.spec:3: expected `session` or `permutation`, found 'setup'"),
        ("session a\nstep b; {}", "t.spec:2: ';'"),
    ],
)
def test_a_file_that_is_not_in_the_form_is_named_with_line_and_reason(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, Path("t.spec"))
    assert caught.value.message == message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.spec").write_bytes(b"session a\xe9")
    with pytest.raises(SpecError, match=r"latin\.spec: not UTF-8: byte 9"):
        load_spec(tmp_path / "latin.spec")
    with pytest.raises(SpecError, match=r"none\.spec: No such file"):
        load_spec(tmp_path / "none.spec")
