"""Whether the clients of a profile can be shared by so many processes."""

from integrity.errors import UsageError
from integrity.load.profile import ClosedProfile, OpenProfile, Profile
from integrity.load.shards.order import SentSystem
from integrity.numbers import counted
from integrity.systems.system import System


def check_sharing(system: System, profile: Profile, count: int) -> None:
    """Raise where so many processes cannot share the clients of a profile; one has them all.

    Raises:
        UsageError: there are fewer of something than processes, or these cannot be told where the system is.
    """
    if count == 1:
        return
    for one, number, hint in _shared(profile):
        if number < count:
            what = counted(number, one, one.replace(one.split()[0], f"{one.split()[0]}s", 1))
            raise UsageError(
                f"--processes {count}: the profile has {what}, and each process needs its own",
                hint=f"Give {counted(number, 'process', 'processes')} at most, or {hint}.",
            )
    SentSystem.of(system)


def _shared(profile: Profile) -> list[tuple[str, int, str]]:
    """Return one of what each process needs some of, how many there are, and how there come to be more."""
    shared = [("client", profile.clients, "more --clients")]
    if isinstance(profile, ClosedProfile) and profile.calls_most:
        shared.append(("call (calls_most)", profile.calls_most, "more of them in the profile"))
    if isinstance(profile, OpenProfile):
        shared.append(("connection", profile.connections, "more --connections"))
        shared.append(("call in flight (in_flight_most)", profile.in_flight_most, "more of them in the profile"))
    # A process that has none of the subscribers needs none of their connections.
    shared += [
        (f"connection of the subscribers {each.name}", each.connections, "more of them in the profile")
        for each in profile.subscribers
        if each.connections < each.count
    ]
    return shared
