"""Times as a run's files have them, microseconds since the epoch, and as databases store them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_us: int) -> datetime:
    """Return the time that is so many microseconds after the epoch."""
    return _EPOCH + timedelta(microseconds=at_us)
