"""Outside services behave as their settings say, and the same random state gives the same reaction."""

from collections import Counter
from random import Random

import pytest

from integrity.systems.service import TIMEOUT, Context, Reaction, ServiceSettings, Trouble

COUNT = 2_000
ARGUMENTS = {"event_id": "evt-1"}


def reactions(settings: ServiceSettings) -> list[tuple[Trouble | None, Reaction]]:
    context = Context(Random(7), settings)
    made = []
    for _ in range(COUNT):
        trouble = context.trouble()
        made.append((trouble, context.react({"status": "settled"}, context.webhooks("hook", ARGUMENTS), trouble=trouble)))
    return made


def test_a_service_without_trouble_answers_at_once_with_one_webhook() -> None:
    context = Context(Random(1))
    reaction = context.react({"status": "settled"}, context.webhooks("hook", ARGUMENTS))
    assert (reaction.answer, reaction.latency_s) == ({"status": "settled"}, 0.0)
    assert [(each.delay_s, each.operation, each.arguments) for each in reaction.deliveries] == [(0.0, "hook", ARGUMENTS)]
    assert context.trouble() is None


def test_half_of_the_timeouts_were_done_and_only_those_have_webhooks() -> None:
    made = reactions(ServiceSettings(timeout_share=0.4, timeout_s=3.0, error_share=0.2))
    counts = Counter(trouble for trouble, _ in made)
    shares = {trouble: round(count / COUNT, 1) for trouble, count in counts.items()}
    assert shares == {Trouble.DONE: 0.2, Trouble.LOST: 0.2, Trouble.REFUSED: 0.2, None: 0.4}
    for trouble, reaction in made:
        is_timeout = trouble in (Trouble.DONE, Trouble.LOST)
        assert (reaction.answer == TIMEOUT, reaction.latency_s == 3.0) == (is_timeout, is_timeout)
        assert bool(reaction.deliveries) == (trouble in (None, Trouble.DONE))
        if trouble is Trouble.REFUSED:
            assert reaction.answer["status"] == "error"
            assert reaction.answer["code"] in (429, 500)


def test_an_answer_takes_as_long_as_the_settings_say() -> None:
    latencies_s = [r.latency_s for _, r in reactions(ServiceSettings(latency_least_s=0.1, latency_most_s=0.3))]
    assert 0.1 <= min(latencies_s) < 0.11
    assert 0.29 < max(latencies_s) <= 0.3


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        (ServiceSettings(duplicate_share=1.0), {2}),
        (ServiceSettings(duplicate_share=0.5), {1, 2}),
        (ServiceSettings(drop_share=1.0, retry_s=0.1), {1}),
    ],
)
def test_a_webhook_is_never_lost_for_ever(settings: ServiceSettings, counts: set[int]) -> None:
    assert {len(reaction.deliveries) for _, reaction in reactions(settings)} == counts


def test_a_webhook_that_was_lost_on_the_way_comes_a_retry_later() -> None:
    delays_s = Counter(
        round(r.deliveries[0].delay_s, 3) for _, r in reactions(ServiceSettings(drop_share=0.5, retry_s=0.25))
    )
    assert set(delays_s) >= {0.0, 0.25, 0.5}
    assert 0.4 * COUNT < delays_s[0.0] < 0.6 * COUNT


def test_a_webhook_that_is_held_back_is_overtaken() -> None:
    settings = ServiceSettings(delay_least_s=0.1, delay_most_s=0.2, reorder_share=0.5)
    delays_s = [reaction.deliveries[0].delay_s for _, reaction in reactions(settings)]
    assert 0.2 * COUNT < sum(delay_s > 0.2 for delay_s in delays_s) < 0.5 * COUNT


def test_the_same_random_state_gives_the_same_reactions() -> None:
    settings = ServiceSettings(
        latency_most_s=0.1,
        timeout_share=0.2,
        error_share=0.1,
        failure_share=0.1,
        delay_most_s=1.0,
        duplicate_share=0.3,
        reorder_share=0.3,
        drop_share=0.3,
    )
    assert reactions(settings) == reactions(settings)
