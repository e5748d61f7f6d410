"""The names by which the plans' scripts are told what to do, read from the environment: URLs, accounts, keys, sizes.

    LOADTEST_BASE_URL, API_BASE_URL          where calls go: --target
    SUPABASE_URL                             the same, of a system whose requests bear a service's key
    LOADTEST_USERS                           who makes them: --user
    LOADTEST_PASSWORD, SUPABASE_ANON_KEY     what they log in with, and what each request bears
    SUPABASE_SERVICE_KEY                     by which a server tells a run what it does by itself
    LOADTEST_BYPASS_TOKEN                    lets a run pass a limiter
    STRIPE_TEST_KEY                          by which a server knows webhooks, and who asks it signs them
    TEST_VENUE_ID                            of which venue a server is to be: --venue
    USER_COUNTS, S2_USERS, SSE_HOLD_TIMES..  as the profile says (`environment`): load/asked.py

Secrets are read from the environment alone; no option takes one, as others on a machine can read a command line.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from integrity.endpoints.login import API_KEY_NAMES, BYPASS_NAME, PASSWORD_NAMES, SERVICE_KEY_NAMES
from integrity.endpoints.signature import SIGNING_NAMES
from integrity.environment import named_in
from integrity.errors import UsageError
from integrity.http.origin import Origin, find_origin, listed_hosts, read_origin
from integrity.live_keys import check_no_live_keys, texts_of
from integrity.load.asked import USERS_VARIABLE
from integrity.load.profile import Profile
from integrity.masking import SECRET_NAMES
from integrity.project import DATABASE_VARIABLE, SETTINGS_FILE, Project
from integrity.systems.system import System

TARGETS = ("LOADTEST_BASE_URL", "API_BASE_URL")
SERVICE_TARGET = "SUPABASE_URL"
VENUE = "TEST_VENUE_ID"
SECRETS = SECRET_NAMES
OF_SCENARIOS = (
    "LOADTEST_SSE_HOLD_SECONDS", "USER_COUNTS", "SSE_HOLD_TIMES", "S2_USERS", "S3_USERS", "S4_USERS", "S4_DURATION",
    "TEST_GATEWAY_1_ID", "TEST_GATEWAY_2_ID",
)  # fmt: skip
"""Read where a profile names them."""

NAMES = (*TARGETS, SERVICE_TARGET, USERS_VARIABLE, *SECRETS, VENUE, *OF_SCENARIOS)

_UNSET = {
    PASSWORD_NAMES[0]: "everybody logs in with the test servers' own",
    API_KEY_NAMES[0]: "requests bear the test servers' own",
    SERVICE_KEY_NAMES[0]: "the password opens the server's record",
    BYPASS_NAME: "limiters count this run",
    SIGNING_NAMES[0]: "webhooks are signed with the password",
}
"""What is done without one, in a run over HTTP."""


@dataclass(frozen=True, slots=True)
class AskedTarget:
    """Where calls go, and who said so: an option or a variable."""

    origin: Origin
    place: str


def check_environment(project: Project, environment: Mapping[str, str], *, env_file: Mapping[str, str] = {}) -> None:
    """Raise UsageError where a key that looks live stands in what a command reads: load goes to test accounts alone.

    What of the environment nobody here reads is left alone: a build machine holds other programs' tokens.

    Args:
        env_file: all that a file of variables says.
    """
    hosts = listed_hosts(project, environment)
    texts = dict(texts_of(dataclasses.asdict(project.settings)))
    check_no_live_keys(texts, place=f"{project.folder / SETTINGS_FILE}: ", hosts=hosts)
    check_no_live_keys(env_file, place="--env-file: ", hosts=hosts)
    read = {*NAMES, DATABASE_VARIABLE, *(name for text in texts.values() for name in named_in(text))}
    check_no_live_keys(
        {name: environment[name] for name in sorted(read) if name in environment}, place="the environment: ", hosts=hosts
    )


def find_target(given: str | None, project: Project, system: System, environment: Mapping[str, str]) -> AskedTarget | None:
    """Return where calls go; None: to the database.

    Raises:
        UsageError: it is no URL, or may not be asked; of variables, all that are set.
    """
    if given is not None:
        return AskedTarget(find_origin(given, project, place="--target"), "--target")
    asks = (*TARGETS, SERVICE_TARGET) if system.endpoints is not None and system.endpoints.api_key else TARGETS
    found = None
    for name in asks:
        text = environment.get(name, "").strip()
        if text:
            origin = find_origin(text, project, place=name)
            found = found or AskedTarget(origin, name)
    return found


def describe_names(
    system: System, profile: Profile, used: Mapping[str, str], target: AskedTarget | None, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield what the plans' names did: which were read, which are set and are another scenario's, which are not set.

    Args:
        used: of the profile's, with what they said.
    """
    of_target = [target.place] if target is not None and target.place in NAMES else []
    said = [f"{name}={text}" for name, text in used.items()]
    said += [f"{name}={target.origin}" for name in of_target if target is not None]
    if said:
        yield f"from the environment: {', '.join(said)}"
    read = {*used, *of_target, *SECRETS, VENUE}
    idle = [name for name in NAMES if environment.get(name, "").strip() and name not in read]
    if idle:
        yield f"set, and not read by this run: {', '.join(idle)}"
    if target is not None:
        yield from _not_set([f"{name} ({_UNSET[name]})" for name in _of_requests(system) if not environment.get(name)])
    elif said or idle:
        yield from _not_set([name for name in profile.environment.names if not environment.get(name, "").strip()])


def _of_requests(system: System) -> Iterator[str]:
    """Yield the secrets that requests of the system have, as far as it asks for them."""
    endpoints = system.endpoints
    has = {
        PASSWORD_NAMES[0]: endpoints is not None and endpoints.login is not None,
        API_KEY_NAMES[0]: endpoints is not None and bool(endpoints.api_key),
        SERVICE_KEY_NAMES[0]: endpoints is not None and bool(endpoints.api_key),
        BYPASS_NAME: endpoints is not None and endpoints.limit is not None,
        SIGNING_NAMES[0]: endpoints is not None and any(each.is_signed for each in endpoints.table),
    }
    return (name for name in _UNSET if has[name])


def describe_unset(system: System, environment: Mapping[str, str]) -> Iterable[str]:
    """Return which secrets of a system's requests a server is started without."""
    return _not_set([name for name in _of_requests(system) if not environment.get(name)])


def _not_set(names: Collection[str]) -> Iterable[str]:
    return [f"not set: {', '.join(names)}"] if names else []


def find_port(environment: Mapping[str, str], *, otherwise: int) -> int:
    """Return the port at which a variable says a server of this machine is asked; else another one.

    Raises:
        UsageError: it is no URL.
    """
    for name in TARGETS:
        text = environment.get(name, "").strip()
        if text:
            origin = read_origin(text, place=name)
            if not origin.is_loopback:
                raise UsageError(
                    f"{name}: {origin} is not on this machine, where a server would listen",
                    hint="Say --port, or leave the variable out.",
                )
            return origin.port
    return otherwise
