"""Health after a run, or after something went wrong: what is left open, and what was written last."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import sqlite3

from integrity.database.namespace import inspect_database
from integrity.database.target import Target
from integrity.database.transaction import refusal
from integrity.database.types import Timestamp
from integrity.errors import DatabaseError
from integrity.health.before import _of_error, count_recent
from integrity.health.check import Check, ok, some, warning
from integrity.health.server import Server, open_server
from integrity.project import Project
from integrity.systems.system import System
from integrity.workload.run_folder import RunFolder

IDLE_S_MOST = 5.0
LONG_S = 30.0
MINUTES = 10
