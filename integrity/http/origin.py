"""The origin: where an application that is asked over HTTP is to be found, and whether it may be.

Load goes to this machine alone, unless `integrity.toml` lists the host: one who mistypes an address hits nobody.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from integrity.environment import fill_in
from integrity.errors import UsageError, quote, quote_url
from integrity.live_keys import find_live
from integrity.project import SETTINGS_FILE, Project
from integrity.suggestion import suggest

PORTS = {"http": 80, "https": 443}
_HINT = "Write it as http://127.0.0.1:8000, or name one of integrity.toml: [targets.NAME] url."
_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an application is.

    Args:
        scheme: http or https.
        host: as a URL has it, an address of IPv6 without its brackets.
        path: that all paths stand behind; empty: they are at the root.
        user, password: of whoever asks, where the URL names one; never shown.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The URL, without its password."""
        user = f"{self.user}:***@" if self.password else "***@" if self.user else ""  # a token may be all there is
        return f"{self.scheme}://{user}{self.netloc}{self.path}"

    @property
    def netloc(self) -> str:
        """The host, as a request names it, and its port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by what it is called: a name that somebody else's server resolves is not."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def find_origin(given: str, project: Project, *, place: str) -> Origin:
    """Return where an application is that may be asked: this machine, or what the project lists.

    Args:
        given: a URL, or the name of one that the project lists.
        place: where it stands, e.g. "--target".

    Raises:
        UsageError: it is no URL, or its host is listed nowhere.
    """
    listed = _listed(project)
    if given in listed:
        return listed[given]
    if _NAME.fullmatch(given):
        hint = suggest(given, listed, otherwise=_HINT)
        raise UsageError(f"{place}: {quote(given)} is no URL, and no target of {SETTINGS_FILE} with one", hint=hint)
    origin = read_origin(given, place=place)
    known = {(each.host.lower(), each.port) for each in listed.values()}
    if not origin.is_loopback and (origin.host.lower(), origin.port) not in known:
        raise UsageError(
            f"{place}: {origin} is not on this machine, and no target of {project.folder / SETTINGS_FILE}",
            hint=f'Is it there to be hammered? Then list it: [targets.staging] url = "{origin.scheme}://{origin.netloc}".',
        )
    return origin


def listed_hosts(project: Project, environment: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts that the project lists, as far as their URLs can be read."""
    urls = [section.get("url") for section in project.settings.targets.values()]
    found = set()
    for url in urls:
        with suppress(UsageError, ValueError):
            found.add((urlsplit(fill_in(str(url or ""), environment, place="")).hostname or "").lower())
    return frozenset(found - {""})


def read_origin(text: str, *, place: str) -> Origin:
    """Return what a URL says.

    Raises:
        UsageError: it is none of HTTP, or says more than where an application is.
    """
    split = _split(text.strip(), place)
    scheme = split.scheme.lower()
    if scheme not in PORTS or not split.hostname:
        raise UsageError(f"{place}: {quote_url(text)} is no URL of HTTP", hint=_HINT)
    if split.port == 0:
        raise UsageError(f"{place}: {quote_url(text)} has port 0, where nobody listens", hint=_HINT)
    user, password = unquote(split.username or ""), unquote(split.password or "")
    origin = Origin(scheme, split.hostname, split.port or PORTS[scheme], split.path.rstrip("/"), user, password)
    if split.query or split.fragment:
        raise UsageError(f"{place}: behind {origin} stands more than a path", hint="Leave out what begins with ? or #.")
    if found := find_live(f"{user} {password} {split.path}"):
        what, why = found
        raise UsageError(f"{place}: its user or password is {what}: {why}", hint="Load goes to test accounts only.")
    if origin.host in ("0.0.0.0", "::"):  # noqa: S104  that is what it is refused for
        raise UsageError(f"{place}: {origin} is where a server listens, and no address", hint="Ask it at 127.0.0.1.")
    if re.search(r"[^\x21-\x7e]", f"{origin.host}{origin.path}"):
        raise UsageError(f"{place}: {quote_url(text)} has letters that no URL has", hint=_HINT)
    return origin


def _split(text: str, place: str) -> SplitResult:
    try:
        split = urlsplit(text)
        _ = split.port, split.hostname
    except ValueError as error:
        raise UsageError(f"{place}: {quote_url(text)} is no URL of HTTP: {error}", hint=_HINT) from None
    return split


def _listed(project: Project) -> Mapping[str, Origin]:
    """Return the origins that the project lists, by the names of their targets."""
    found: dict[str, Origin] = {}
    for name, section in project.settings.targets.items():
        url: Any = section.get("url")
        if url is None:
            continue
        place = f"{project.folder / SETTINGS_FILE}: targets.{name}.url"
        if not isinstance(url, str):
            raise UsageError(f"{place}: {quote(url)} is no text", hint=_HINT)
        found[name] = read_origin(url, place=place)
    return found
