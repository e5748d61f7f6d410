"""Resources are shares of what there is; what nobody saw is left out, and so a threshold on it is not measured."""

from typing import Any

from integrity.load.resources import find_resources

FACTS = {"max_connections": 103, "reserved_connections": 3, "pool_size": 50}


def summary(**figures: Any) -> dict[str, Any]:
    return {"database": figures or None, "processes": [{"name": "database", "cpu_share_mean": 0.4}]}


def test_shares_are_of_what_the_server_and_the_profile_allow() -> None:
    assert find_resources(summary(connections_most=70, busy_most=20), FACTS) == {
        "connections_share": 0.7,
        "pool_share": 0.4,
        "database_cpu_share": 0.4,
    }


def test_without_a_database_or_a_pool_there_is_no_share() -> None:
    assert find_resources(summary(), FACTS) == {"database_cpu_share": 0.4}
    assert find_resources({**summary(connections_most=70, busy_most=20), "processes": []}, {}) == {}
