"""Bugs of ghostpass, each beside the operation it breaks."""

from integrity.systems.system import Bug

BUGS: dict[str, Bug] = {}
