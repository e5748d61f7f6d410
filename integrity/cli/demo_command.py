"""`integrity demo`: the main job, shown by the commands themselves, in a project and on a server of its own."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from integrity.cli.options import embedded_server, open_project, project_option
from integrity.drafts.files import write_new
from integrity.exit_codes import ExitCode
from integrity.project import DATABASE_VARIABLE, SETTINGS_FILE, STATE_FOLDER, make_state_folder
from integrity.report.terminal import write_note, write_result


@dataclass(frozen=True, slots=True)
class Act:
    """One command of the demo.

    Args:
        says: what the reader is about to see.
        arguments: of `integrity`, without --project.
        exit_code: the one that it ends with if all is as it should be.
    """

    says: str
    arguments: tuple[str, ...]
    exit_code: int = ExitCode.OK


ACTS = (
    Act(
        "A venue's past day: 5,000 wallets, in which every invariant holds.",
        ("seed", "--system", "ghostpass", "--wallets", "5000", "--replace"),
    ),
    Act("The sound system, hammered on a few hot wallets.", ("run", "hammer", "--duration", "8s", "--seed", "1")),
    Act("Is the data still right? Every invariant, on one snapshot.", ("validate",)),
    Act(
        "The same with a planted bug: the webhook looks its event up, then inserts it.",
        ("run", "hammer", "--duration", "8s", "--seed", "1", "--bug", "double_credit"),
    ),
    Act("And now?", ("validate", "--select", "ghostpass/*", "--limit-evidence", "3"), ExitCode.VIOLATED),
    Act(
        "From the first of those rows to the shortest interleaving that breaks it, and what would have prevented it.",
        ("reproduce", "ghostpass/funding-credited-once#1"),
        ExitCode.VIOLATED,
    ),
)

NEXT = """\
Try next, where the demo's data is:
{way}  integrity explain ghostpass/funding-credited-once     what that invariant asks, and why
  integrity race ghostpass sell sell --bug overdraw     search the orders of two calls, without a run before
  integrity seed --wallets 5000 --replace               all five systems, sound again: wallets, votes, lessons, an inbox
  integrity run pilot --time-scale 20                   the venue's 20 minutes in one
  integrity run hammer --fault lost_commit_ack@30%-60%  the server commits, and nobody is told
  integrity suite quick --system inbox --shorten 4      every shape of load, an audit after each
  integrity run hammer --bug lost_update                plant another bug, then: integrity validate
  integrity init DIR --database URL                     a project of your own, that fits your database
  integrity db stop                                     the embedded PostgreSQL ends only when you say so
"""


@click.command(name="demo")
@project_option
def command(*, project_folder: Path) -> int:
    """Show the main job in about a minute: a sound system holds, a planted race is caught.

    It works in .integrity/demo, on an embedded PostgreSQL that ends with it.

    \b
    Example: integrity demo
    """
    make_state_folder(open_project(project_folder))
    folder = project_folder / STATE_FOLDER / "demo"
    folder.mkdir(exist_ok=True)
    write_new(folder / SETTINGS_FILE, "# The demo is a project of its own, in whatever project it lies.\n")
    is_named = os.environ.pop(DATABASE_VARIABLE, None) is not None  # nobody's database is for showing things on
    project = open_project(folder)
    try:
        for act in ACTS:
            code = _play(act, folder)
            if code != act.exit_code:
                write_note(f"\nThis ended with exit code {code}, not {act.exit_code}: not what the demo is to show.")
                return code or ExitCode.UNKNOWN
    finally:
        embedded_server(project).stop()
    way = [f"cd {shlex.quote(str(folder))}", *([f"unset {DATABASE_VARIABLE}"] if is_named else []), *path_to_command()]
    lines = "".join(f"  {step}\n" for step in way)
    write_result("\n" + NEXT.format(way=lines))
    return ExitCode.OK


def path_to_command() -> list[str]:
    """Return what is to be typed before a shell knows the command `integrity` that this is; nothing where it does."""
    command = Path(sys.executable).parent / "integrity"
    known = shutil.which("integrity")
    is_known = known is not None and command.exists() and Path(known).samefile(command)
    return [] if is_known or not command.exists() else [f'export PATH={shlex.quote(str(command.parent))}:"$PATH"']


def _play(act: Act, folder: Path) -> int:
    from integrity.cli.main import invoke

    write_result(f"\n{act.says}", bold=True)
    write_result(f"$ integrity {shlex.join(act.arguments)}\n", dim=True)
    return invoke([*act.arguments, "--project", str(folder)])
