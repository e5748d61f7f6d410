"""A past week of streamvote: its settings are checked, and its viewers do what viewers can do."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from integrity.domain import IntegerIn
from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.streamvote import schema
from integrity.reference.streamvote.operations import OPERATIONS
from integrity.reference.streamvote.schema import METADATA
from integrity.reference.streamvote.seeds import tables
from integrity.reference.streamvote.seeds.settings import WINDOW_S, WeekSettings, read_settings
from integrity.reference.streamvote.seeds.tables import SEEDER
from integrity.reference.streamvote.seeds.week import Week, play_week
from integrity.seeds.source import Source
from integrity.systems.seeder import Batch, Start

FILE = reference_folder("seeds") / "streamvote.toml"
FIRST_IDS = {table.name: 1 for table in METADATA.sorted_tables if "id" in table.columns}
SECOND_US = 1_000_000


def play(viewers: int, streamers: int = 20, *, seed: int = 1, settings: WeekSettings | None = None) -> Week:
    return play_week(settings or read_settings(FILE), viewers, streamers, Source(seed))


def generate(sizes: dict[str, int], *, seed: int = 1, start: Start | None = None) -> list[Batch]:
    return list(SEEDER.generate(SEEDER.complete(sizes), seed, start or Start(FIRST_IDS, {})))


@pytest.mark.parametrize("viewers", [1, 2, 3, 1500])
def test_no_balance_is_negative_at_any_moment(viewers: int) -> None:
    """Followed in order of time, as a ledger would; a credit of the same moment as a vote comes after it."""
    week = play(viewers)
    moves = [
        (time_us, 1, viewer, stars)
        for time_us, viewer, stars, is_credited in zip(
            week.invoices.ended_us.tolist(),
            week.invoices.viewer.tolist(),
            week.invoices.stars.tolist(),
            week.invoices.is_credited.tolist(),
            strict=True,
        )
        if is_credited
    ]
    moves += [
        (time_us, 0, viewer, -stars)
        for time_us, viewer, stars, is_accepted in zip(
            week.votes.time_us.tolist(),
            week.votes.viewer.tolist(),
            week.votes.stars.tolist(),
            week.votes.is_accepted.tolist(),
            strict=True,
        )
        if is_accepted
    ]
    balances: dict[int, int] = defaultdict(int)
    for _, _, viewer, stars in sorted(moves):
        balances[viewer] += stars
        assert balances[viewer] >= 0


def test_who_was_declined_had_no_stars_at_that_moment() -> None:
    week = play(3000)
    first_us = np.full(3000, np.iinfo(np.int64).max)
    np.minimum.at(
        first_us, week.invoices.viewer[week.invoices.is_credited], week.invoices.ended_us[week.invoices.is_credited]
    )
    declined = ~week.votes.is_accepted
    assert declined.any()
    assert (week.votes.time_us[declined] < first_us[week.votes.viewer[declined]]).all()


def test_votes_are_cast_while_their_event_is_open() -> None:
    votes, events = play(2000).votes, play(2000).events
    assert (np.diff(votes.time_us) >= 0).all()
    assert (votes.time_us > events.opened_us[votes.event]).all()
    assert (votes.time_us < events.closed_us[votes.event]).all()
    assert (votes.stars == events.price_stars[votes.event]).all()
    assert set(events.is_closed.tolist()) == {True, False}


def test_a_window_lasts_as_long_as_the_database_makes_it_last() -> None:
    assert WINDOW_S == schema.WINDOW_S


def test_votes_are_in_their_viewers_window_and_no_two_windows_meet() -> None:
    week = play(2000)
    since_us = week.votes.time_us - week.window_us[week.votes.window]
    assert since_us.min() == 0
    assert since_us.max() < WINDOW_S * SECOND_US
    assert (week.window_viewer[week.votes.window] == week.votes.viewer).all()
    order = np.lexsort((week.window_us, week.window_viewer))
    is_same = np.diff(week.window_viewer[order]) == 0
    assert (np.diff(week.window_us[order])[is_same] >= WINDOW_S * SECOND_US).all()
    assert np.bincount(week.votes.window).max() <= read_settings(FILE).rules.votes_per_window


def test_wallets_are_made_before_all_else_and_numbered_in_that_order() -> None:
    week = play(2000)
    assert (np.diff(week.created_us) >= 0).all()
    for viewer, time_us in (
        (week.votes.viewer, week.votes.time_us),
        (week.invoices.viewer, week.invoices.created_us),
    ):
        assert (time_us > week.created_us[viewer]).all()


def test_invoices_end_as_they_may() -> None:
    invoices = play(3000).invoices
    assert (invoices.paid_us > invoices.created_us).all()
    credited = invoices.is_credited
    assert (invoices.ended_us[credited] > invoices.paid_us[credited]).all()
    assert invoices.has_event[credited].all()
    assert set(invoices.has_event[~credited].tolist()) == {True, False}, "the provider said so, or the sweeper found out"


def test_families_follow_one_another() -> None:
    settings = read_settings(FILE)
    week = play(1001)
    size = settings.families.wallets
    assert week.budget[-1] == -1, "the last one is alone"
    groups = week.budget[: len(week.budget) // size * size].reshape(-1, size)
    assert (groups == groups[:, :1]).all()
    budgets = groups[:, 0]
    assert budgets[budgets >= 0].tolist() == list(range(len(week.room_stars)))
    assert 0.3 < np.mean(budgets >= 0) < 0.7


def test_many_viewers_are_quiet_and_a_few_are_busy_and_so_are_streamers() -> None:
    week = play(5000, 200)
    votes = np.sort(np.bincount(week.votes.viewer, minlength=5000))
    assert votes[len(votes) // 2] <= 6
    assert votes[-100] >= 30
    watched = np.bincount(week.events.streamer[week.votes.event], minlength=200)
    assert watched[:20].sum() > 3 * watched[-20:].sum()


def test_prices_and_purchases_are_those_that_the_operations_may_be_asked_for() -> None:
    settings = read_settings(FILE)
    price = OPERATIONS["open_event"].arguments["price_stars"]
    assert isinstance(price, IntegerIn)
    assert price.least <= min(settings.price_stars)
    assert price.most >= max(settings.price_stars)


def test_the_same_seed_makes_the_same_week_and_another_another() -> None:
    first, again, other = (play(300, seed=seed) for seed in (1, 1, 2))
    assert first.votes.time_us.tolist() == again.votes.time_us.tolist()
    assert first.votes.time_us.tolist() != other.votes.time_us.tolist()


def test_a_batch_is_complete_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "WALLETS_A_BATCH", 100)
    batches = generate({"wallets": 250, "streamers": 5})
    assert [batch.done for batch in batches] == [0, 100, 100, 50]
    for batch in batches[1:]:
        made = {rows.table: rows for rows in batch.tables}
        events = {column.name: column for column in made["live_events"].columns}["id"].values
        voted = {column.name: column for column in made["votes"].columns}["live_event_id"].values
        assert np.isin(voted, events).all()
        assert len(events) == 7 * 5


def test_rules_are_not_made_again_when_more_is_added() -> None:
    start = Start(dict.fromkeys(FIRST_IDS, 1000), {"rules": [(1, 3), (2, 7)]})
    made = {rows.table: rows for batch in generate({"wallets": 50, "streamers": 3}, start=start) for rows in batch.tables}
    assert "rules" not in made
    limits = {column.name: column for column in made["rate_windows"].columns}["limit_count"].values
    assert set(limits.tolist()) == {7}, "by the newest rules"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("share = 0.05", "share = 0.5", "shares .* together, not 1"),
        ("early_share = 0.1", "early_share = 1.1", "rounds.early_share: .*less than or equal to 1"),
        ("[20:00:00, 22:00:00]", "[19:30:00, 22:00:00]", "must follow one another"),
        ("[22:05:00, 22:45:00]", "[22:45:00, 22:05:00]", "must follow one another"),
        ("rounds = [12, 40]", "rounds = [12, 4000]", "833 slots of 60 s"),
        ("rounds = [12, 40]", "rounds = [40, 12]", "the least is more than the most"),
        ("votes_per_window = 5", "votes_per_window = 3", "rounds.votes: more than"),
        ("paid_after_ms = [2_000, 8_000]", "paid_after_ms = [2_000, 80_000]", "invoices.paid_after_ms"),
        ("price_stars = [1, 2, 5]", "price_stars = []", "price_stars"),
        ("wallets = 4", "wallets = 1", "families.wallets"),
        ("first_day = ", "day = ", "first_day: Field required"),
        ("[families]", "[families", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_file_and_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "streamvote.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as refused:
        read_settings(file)
    assert refused.value.message.startswith(f"{file}: ")


def test_a_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path / "streamvote.toml")
