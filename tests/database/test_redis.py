"""A Redis beside a database: watched, checked, and told when it is not as the plans ask."""

from integrity.health.check import Health
from integrity.health.redis import check_redis_server
from integrity.monitor.sampler import Monitor
from integrity.monitor.watched import WatchedApplication, read_watched
from tests.database.redis_servers import redis_server


def test_a_redis_is_watched_and_checked_by_what_it_says_of_itself() -> None:
    import redis

    with redis_server("--maxmemory", "4mb", "--maxmemory-policy", "noeviction") as url:
        with redis.Redis.from_url(url) as client:
            with Monitor(None, application=read_watched([], redis=url), own_process=False, every_s=0.05) as monitor:
                for number in range(5):
                    client.set(f"blob{number}", b"x" * 400_000)
                client.set("seen", 1)
                with client.pipeline() as asked:
                    for number in range(1_200):
                        asked.get("seen" if number % 2 and number < 200 else "none")
                    asked.execute()
            found = {alert.name for alert in monitor.summary.alerts}
            assert found == {"redis-memory-share", "redis-policy", "redis-hits"}
            assert monitor.summary.redis is not None
            assert monitor.summary.redis.hit_share == round(100 / 1_200, 4)
            states = {each.name: each.state for each in check_redis_server(url)}
            assert list(states.values()) == [Health.OK, Health.WARNING, Health.WARNING]
            client.config_set("maxmemory-policy", "volatile-lru")
            client.flushall()
        assert {each.state for each in check_redis_server(url)} == {Health.OK}
    assert [each.state for each in check_redis_server(url)] == [Health.FAILED]
    with Monitor(None, application=WatchedApplication(redis=url), own_process=False, every_s=0.05) as monitor:
        pass
    assert [alert.name for alert in monitor.summary.alerts] == ["redis-unreachable"]
