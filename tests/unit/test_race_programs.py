"""Programs of a system: which calls meet, and which rows are theirs."""

from integrity.domain import KeyOf
from integrity.race.program.digests import make_digests
from integrity.race.program.planned_calls import make_world, vary_calls
from integrity.reference.ghostpass.system import GHOSTPASS

NAMES = (
    "wallets_1",
    "wallets_2",
    "wallets_3",
    "gateways_1",
    "terminals_1",
    "fundings_1",
    "sales_1",
    "sales_2",
    "events_1",
    "events_2",
)
KEYS = {name: f"{name}'s key" for name in NAMES}


def test_the_first_calls_meet_on_the_same_keys_with_the_greatest_amounts() -> None:
    one, other = next(vary_calls(GHOSTPASS, make_world(KEYS), ("sell", "sell")))
    assert str(one) == str(other) == "sell(wallet_id=wallets_1, terminal_id=terminals_1, amount_minor=1999)"


def test_calls_do_not_repeat_are_the_same_each_time_and_name_keys_of_the_stage() -> None:
    world = make_world(KEYS)
    for name, operation in GHOSTPASS.operations.items():
        found = list(vary_calls(GHOSTPASS, world, (name, name)))
        assert found == list(vary_calls(GHOSTPASS, world, (name, name)))
        assert len({" + ".join(sorted(map(str, calls))) for calls in found}) == len(found)  # whoever of them is called A
        for call in (call for calls in found for call in calls):
            for argument, domain in operation.arguments.items():
                assert not isinstance(domain, KeyOf) or call.arguments[argument] in world.keys[domain.pool]


def test_hypothesis_adds_calls_that_the_likely_ones_lack() -> None:
    amounts = {calls[0].arguments["amount_minor"] for calls in vary_calls(GHOSTPASS, make_world(KEYS), ("sell", "sell"))}
    assert 1999 in amounts
    assert len(amounts) > 3


def test_every_table_has_a_digest_that_reaches_rows_through_staged_rows_and_calls() -> None:
    digests = {digest.table: digest.rows(KEYS, ()).sql for digest in make_digests(GHOSTPASS.metadata)}
    assert digests.keys() == {table.name for table in GHOSTPASS.metadata.sorted_tables}
    assert ":wallets_1" in digests["splits"]  # through their sale
    assert ":gateways_1" not in digests["scans"]  # no index begins with gateway_id
