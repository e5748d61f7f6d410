"""A threshold that cites a line of a plan measures that line, with the plan's own figure."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integrity.load.end_states import find_end_states
from integrity.load.profile import load_profile, profile_names
from integrity.load.thresholds import Threshold
from integrity.project import Project, Settings
from integrity.registry import SYSTEMS

CLAIMS: Mapping[str, Mapping[str, Any]] = {
    r"NFC success above 99% for valid cards, accepted within 2 s": {
        "rows": "safebox/taps-accepted",
        "statistic": "reached_share",
        "within_ms": 2000,
        "least": 0.99,
    },
    r"a status is visible within 2 s of its change": {
        "rows": "safebox/payments-visible",
        "statistic": "reached_share",
        "within_ms": 2000,
    },
    r"a status is on the websocket within 2 s of its change": {
        "rows": "safebox/notifications-received",
        "statistic": "reached_share",
        "within_ms": 2000,
    },
    r"no websocket stalls": {"operation": "open_notifications", "statistic": "missed_share", "most": 0},
    r"99% of clients receive an update within 1 s": {
        "rows": "streamvote/updates-received",
        "statistic": "reached_share",
        "within_ms": 1000,
        "least": 0.99,
    },
    r"dropped updates below 0\.5%": {
        "rows": "streamvote/updates-received",
        "statistic": "reached_share",
        "within_ms": None,
        "least": 0.995,
    },
    r"staleness below 1 s": {"rows": "streamvote/polls-behind", "statistic": "max", "most": 1000},
    r"end to end p95 below 500 ms; of so few a median$": {"rows": "instainstru/messages-delivered", "statistic": "p50"},
    r"end to end p95 below 500 ms$|end to end p95 300, 500, 1000 ms": {
        "rows": "instainstru/messages-delivered",
        "statistic": "p95",
    },
    r"no message takes over 5 s": {
        "rows": "instainstru/messages-delivered",
        "statistic": "reached_share",
        "within_ms": 5000,
        "least": 1,
    },
    r"plan: all messages delivered": {
        "rows": "instainstru/messages-delivered",
        "statistic": "reached_share",
        "within_ms": None,
        "least": 1,
    },
    r"the cache answers above 80%": {"rows": "streamvote/searches-cached", "statistic": "reached_share", "least": 0.8},
    r"realtime: updates below 100 ms": {"operation": "open_changes", "statistic": "lag_p95", "most": 100},
    r"realtime: no updates are dropped": {"operation": "open_changes", "statistic": "missed_share", "most": 0},
    r"realtime: 1,000 connections hold": {"operation": "open_changes", "statistic": "broken_share", "most": 0},
    r"realtime: all joins are ok": {"operation": "open_changes", "statistic": "failure_share", "most": 0},
    r"clients receive 99% within 1 s": {"operation": "open_stream", "statistic": "client_lag_p99", "most": 1000},
    r"99% of updates within 1 s$": {"operation": "open_stream", "statistic": "lag_p99", "most": 1000},
    r"database CPU below 70%|CPU below 70% under": {"statistic": "database_cpu_share", "most": 0.7},
    r"connections below 70% of the pool|connections are not exhausted": {"statistic": "pool_share"},
    r"requests an hour.*; here messages$|and not before|legitimate traffic": {
        "statistic": "declined_share",
        "reason": "rate_limited",
    },
    r"errors of streams": {"operation": "open_stream", "statistic": "broken_share"},
    r"200 votes a second": {"operation": "vote", "statistic": "answered_per_s"},
    r"rate-limit errors": {"statistic": "declined_share", "reason": "rate_limited", "most": 0.01},
    r"funding 3-5 s on average": {"operation": "request_funding", "statistic": "settled_mean", "most": 5000},
    r"p99 below 350 ms": {"statistic": "p99", "most": 350},
    r"(?<!end to end )p95 below \d+ ms|send p95 |(?<!p99 )(?<!staleness )below [\d.]+ m?s$": {
        "statistic": ("p95", "p50"),
        "rows": None,
    },
    r"here a median$": {"statistic": "p50"},
    r"failures below|errors below|errors above|failures at most|error rate|its mint leaves|none fails": {
        "statistic": "failure_share"
    },
    r"as before within": {"statistic": "recovery_s"},
    r"^our own: out as fast as in": {"operation": "scan_out", "statistic": ("p95", "p50")},
    r"edge functions succeed above 99\.9%": {"group": "fn:*", "statistic": "failure_share", "most": 0.001},
    r"message loss above 0 is critical": {
        "rows": "inbox/messages-delivered",
        "statistic": "reached_share",
        "within_ms": None,
        "least": 1,
    },
    r"what a provider tells is applied within 2 s": {"rows": "inbox/webhooks-applied", "statistic": "p95", "most": 2000},
    r"^our own(?!: out|: as before|: what a provider)": {"statistic": ("lag_p95", "missed_share")},
}
"""What a source says -> what is measured then. A label on another figure is a label that is not so."""

ABOUT: Mapping[str, str] = {
    r"entry scan": "scan_in",
    r"concession sale": "sell",
    r"WhatsApp send|an hour.*; here messages": "send_whatsapp",
    r"e-mail send": "send_email",
    r"SMS send": "send_sms",
    r"plan(, smoke)?: send p95": "send_message",
    r"dashboard below": "load_dashboard",
    r"messages of a conversation": "load_messages",
    r"text search": "search_messages",
    r"checkouts at once": "create_checkout",
    r"uploads": "upload_media",
    r"polling": "poll_event",
    r"config|scenario 1: p95": "get_config",
    r"rate-limit errors": "vote",
    r"(core endpoints|endpoints) at the expected peak|errors above 1% alert": "all",
}
"""Whom a source speaks of -> what its limit is of."""

ALERTED = {
    "pool": r"of the pool\b",
    "connections": r"database's connections",
    "database-cpu": r"database's CPU",
    "process-cpu": r"application's CPU",
    "process-memory": r"\bGB\b",
    "sequential-scans": r"sequential scan",
    "cache-hit": r"server's buffers",
}
"""What an alert measures, in the words of a plan that asks for it."""


def shipped() -> list[tuple[str, Threshold]]:
    return [
        (f"{system.name} {name}", each)
        for system in SYSTEMS.values()
        for name in profile_names(system, {})
        for each in load_profile(system, name, {}).thresholds
    ]


def differs(threshold: Threshold, claim: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: getattr(threshold, name) for name in claim}
    return {
        name: found[name]
        for name, wanted in claim.items()
        if found[name] not in (wanted if isinstance(wanted, tuple) else (wanted,))
    }


def test_each_source_is_of_the_figure_that_it_names() -> None:
    """W3: "NFC success" was how many requests were answered; end to end counted the sender's own echo."""
    wrong = []
    for place, threshold in shipped():
        claims = [claim for said, claim in CLAIMS.items() if re.search(said, threshold.source)]
        if not claims:
            wrong.append(f"{place}: what is measured for {threshold.source!r}?")
        wrong += [f"{place}: {threshold.source!r} on {found}" for claim in claims if (found := differs(threshold, claim))]
        about = {of for said, of in ABOUT.items() if re.search(said, threshold.source)}
        if about and about != {threshold.about}:
            wrong.append(f"{place}: {threshold.source!r} is of {threshold.about}")
    assert not wrong


def test_a_figure_in_milliseconds_is_the_sources_own() -> None:
    wrong = [
        f"{place}: {threshold.source!r} is held to {threshold.most:g}"
        for place, threshold in shipped()
        if (said := re.search(r"below ([\d.]+) (ms|s)\b", threshold.source))
        and threshold.most != float(said[1]) * (1000 if said[2] == "s" else 1)
    ]
    assert not wrong


def test_an_alert_that_cites_a_plan_is_of_what_the_plan_names() -> None:
    """The plan's hits are those of a listing's cache; the alert that cited it is of the server's buffers."""
    cited = {f"{s.name} {name}": (name, limit.source) for s in SYSTEMS.values() for name, limit in s.limits.items()}
    assert {at: said for at, (name, said) in cited.items() if not re.search(ALERTED[name], said)} == {}


def test_the_rows_that_are_named_can_be_asked_of_one_run(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    named = [threshold for _, threshold in shipped() if threshold.rows]
    assert {file.name for file in find_end_states(project, named).values()} == {each.rows for each in named}
