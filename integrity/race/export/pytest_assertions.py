"""What an exported test asserts, on any engine; doubled braces stay where pytest_export fills something in."""

SHOWN = """\
    assert len(refused) < len(CALLS), f"nothing was shown, all were refused: {{refused}}"
    with {opened} as connection:
"""

FAILURE_ASSERTS = """\
    errors = {getattr(error, "sqlstate", None) or type(error).__name__ for error in refused.values()}
    assert FAILS_WITH not in errors, RULE"""

INVARIANT_ASSERTS = """\
        wrong = connection.execute(WRONG_ROWS).fetchall()
    assert wrong == [], RULE"""

SERIAL_ASSERTS = """\
        found = {
            table: sorted(connection.execute(query).fetchall(), key=repr)
            for table, query in QUERIES.items()
        }
    assert found in SERIAL_ORDERS, RULE"""
