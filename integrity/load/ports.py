"""Ports: each connection to a server has one of this machine for as long as it is open, and a while beyond (TIME_WAIT).

Linux gives the same port to connections that lead to different servers, so those to one server count alone.
"""

from pathlib import Path

from integrity.errors import UsageError
from integrity.numbers import counted

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
REMOTE = 2
"""The field of a row of a table that says where a connection leads, as ADDRESS:PORT in hexadecimal digits."""


def check_ports(connections: int, *, to_port: int) -> None:
    """See that there are ports for a run's connections to a server; where the system does not tell of them, nothing is.

    Raises:
        UsageError: there are not.
    """
    try:
        first, last = map(int, RANGE.read_text().split())
    except OSError:
        return
    count, used = last - first + 1, _count_used(to_port)
    if connections <= count - used:
        return
    raise UsageError(
        f"{counted(connections, 'connection')} to port {to_port} {'is' if connections == 1 else 'are'} asked for, and this "
        f"machine has {counted(count, 'port')} for them, of which {used:,} {'is' if used == 1 else 'are'} in use",
        hint="Allow it more: sysctl net.ipv4.ip_local_port_range='1024 65535'; or ask for fewer connections.",
    )


def _count_used(to_port: int) -> int:
    """Return how many connections there are to such a port, those that ended just now among them."""
    ending = f":{to_port:04X}"
    return sum(row.split()[REMOTE].endswith(ending) for table in TABLES for row in _rows(table))


def _rows(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except OSError:  # a machine without IPv6 has one table only
        return []
