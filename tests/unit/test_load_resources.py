"""Resources are shares of what there is; what nobody saw is left out, and so a threshold on it is not measured."""

from dataclasses import replace
from typing import Any

from integrity.load.resources import count_samples, find_resources
from integrity.monitor.summary import DatabaseSummary, MonitorSummary, ProcessSummary

FACTS = {"max_connections": 103, "reserved_connections": 3, "pool_size": 50}


def summary(**figures: Any) -> MonitorSummary:
    server = ProcessSummary(
        name="database",
        pid=1,
        is_alive=True,
        cpu_share_mean=0.4,
        cpu_share_most=0.5,
        rss_bytes_most=None,
        descriptors_most=None,
    )
    others = dict.fromkeys(DatabaseSummary.__slots__, 0)
    database = DatabaseSummary(**{**others, **figures}) if figures else None
    return MonitorSummary(database=database, processes=(server,))


def test_shares_are_of_what_the_server_and_the_profile_allow() -> None:
    assert find_resources(summary(connections_most=70, busy_most=20), FACTS) == {
        "connections_share": 0.7,
        "pool_share": 0.4,
        "database_cpu_share": 0.4,
    }


def test_without_a_database_or_a_pool_there_is_no_share() -> None:
    assert find_resources(summary(), FACTS) == {"database_cpu_share": 0.4}
    assert find_resources(replace(summary(connections_most=70, busy_most=20), processes=()), {}) == {}


def test_each_share_is_of_as_many_samples_as_the_monitor_took() -> None:
    seen = replace(summary(connections_most=70, busy_most=20), sample_count=8, answered_count=7)
    assert count_samples(seen) == {"connections_share": 7, "pool_share": 7, "database_cpu_share": 8}
