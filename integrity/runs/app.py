"""The application's version in a run: as [app] of integrity.toml says it, or as the folder of its source is at."""

import shutil
import subprocess
from pathlib import Path

from integrity.errors import UsageError, quote
from integrity.project import SETTINGS_FILE, Project
from integrity.runs.documents import DocumentPart


class AppVersion(DocumentPart):
    """A version of the application; is_changed: what git follows there differs from it; None: nobody looked."""

    commit: str
    is_changed: bool | None

    @property
    def shown(self) -> str:
        """In words, e.g. "1a2b3c4d5e6f, with changes that are not committed"."""
        return self.commit[:12] + (", with changes that are not committed" if self.is_changed else "")


def find_app_version(project: Project) -> AppVersion | None:
    """Return the version of the application that is loaded: its commit as said, else that of its folder.

    Without either the application is taken to lie where the project does, if that is anybody's; None: not known. What only
    happens to lie around the current folder says nothing of an application that ships with us.

    Raises:
        UsageError: of the folder that is named no commit can be told.
    """
    said = project.settings.app
    if said.commit:
        return AppVersion(commit=said.commit, is_changed=None)
    if not said.folder:
        return _version_at(project.folder)[0] if project.is_own else None
    folder = project.folder / said.folder
    version, reason = _version_at(folder)
    if version is None:
        raise UsageError(
            f"{project.folder / SETTINGS_FILE}: app.folder: no commit can be told of {quote(str(folder))}: {reason}",
            hint="Name a folder of a git repository, relative to the project's, or say app.commit.",
        )
    return version


def _version_at(folder: Path) -> tuple[AppVersion | None, str]:
    """Return what the folder is at, or None and why."""
    if not folder.is_dir():
        return None, "there is no such folder"
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except subprocess.CalledProcessError as error:
        return None, str(error.stderr).strip().partition("\n")[0] or f"git ended with {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return AppVersion(commit=commit.strip(), is_changed=bool(changed.strip())), ""


def _git(folder: Path, *words: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError("git is not on the PATH")
    command = [git, "--no-optional-locks", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout  # noqa: S603  fixed words
