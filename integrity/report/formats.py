"""The formats of an audit's report, and where each of them goes: to the screen, to a file of its own, or into a folder.

    places = assign(("text", "junit"), ("integrity.xml",))     # junit to the file, text to the screen
    make_folders(places)                                       # before an audit that could not be written ends in nothing
    listen(job, publisher(places))

A file gets, of the formats that are asked for, the one that its ending says, else the first that is left; where none is
asked for, its ending alone says it. A folder gets those that no file takes. What is left goes to the screen, which has room
for one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from integrity.errors import UsageError
from integrity.events import Event, Listener
from integrity.numbers import counted
from integrity.project import make_folder_of
from integrity.report.audit_report import AuditReport, Reported
from integrity.report.terminal import write_json_text, write_result

ENDINGS = {"text": ".txt", "json": ".json", "junit": ".xml", "markdown": ".md"}
"""Format -> what a file of it ends with."""

FORMATS = tuple(ENDINGS)
FILE_STEM = "integrity"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report goes in one format; path: None: to the screen."""

    format_name: str
    path: Path | None = None


def assign(formats: Collection[str], outputs: Sequence[str]) -> list[Place]:
    """Return where each format goes, files in the order in which they are named.

    Args:
        formats: of FORMATS, as they were asked for; none: what the files say, else text.
        outputs: files, and at most one folder: one that is there, or that ends with a slash.

    Raises:
        UsageError: a file has no format of its own, or a format no place of its own.
    """
    folders = [Path(each) for each in outputs if _is_folder(each)]
    files = [Path(each) for each in outputs if not _is_folder(each)]
    if len(folders) > 1 or len({file.absolute() for file in files}) < len(files):
        twice = "two of them are folders" if len(folders) > 1 else "two of them are the same"
        raise UsageError(f"--output {' --output '.join(outputs)}: {twice}", hint="Give each report a file of its own.")
    if formats and len(files) > len(formats):
        raise UsageError(
            f"{counted(len(files), 'file')} for {counted(len(formats), 'format')}: --output {files[-1]}",
            hint=f"Give a --format for each --output, of {', '.join(FORMATS)}; or none, where their endings say it.",
        )
    left, found = list(formats), dict[Path, str]()
    for file in files:
        name = _format_of(file)
        if name in left:
            left.remove(name)
            found[file] = name
    for file in files:
        if file not in found:
            found[file] = left.pop(0) if left else _format_of(file) or "text"
    places = [Place(found[file], file) for file in files]
    if folders:
        into = dict.fromkeys(left if formats else FORMATS)
        if not into:
            raise UsageError(
                f"--output {folders[0]}: the files take all formats", hint="Give one more --format, or no folder."
            )
        return [*places, *(Place(name, folders[0] / f"{FILE_STEM}{ENDINGS[name]}") for name in into)]
    if len(left) > 1:
        raise UsageError(
            f"the screen has room for one of {', '.join(left)}",
            hint="Give each other format an --output of its own, or all of them a folder: --output reports/",
        )
    return [*places, *map(Place, left or ([] if outputs else ["text"]))]


def _is_folder(output: str) -> bool:
    """Return whether it is there and a folder, or is to be one.

    Raises:
        UsageError: it has no name.
    """
    if not output:
        raise UsageError("--output has no value", hint="Name a file, e.g. --output integrity.xml")
    try:
        return output.endswith("/") or Path(output).is_dir()
    except OSError:  # such as a name that is too long: it is told where it is written
        return False


def _format_of(file: Path) -> str | None:
    return next((name for name, ending in ENDINGS.items() if file.suffix.lower() == ending), None)


def make_folders(places: Sequence[Place]) -> None:
    """Make the folders of the files.

    Raises:
        UsageError: one cannot be made.
    """
    for place in places:
        if place.path is not None:
            make_folder_of(place.path, option="--output")


def publisher(places: Sequence[Place], *, is_verbose: bool = False) -> Listener:
    """Return what publishes the report of an audit as soon as it is whole.

    What stands in a file is replaced. With files alone the report's sentence is printed. One that cannot be written keeps
    none of the others from being so.

    Args:
        is_verbose: people are told of each invariant, not only of those that are amiss.
    """

    def publish(event: Event) -> None:
        if isinstance(event, Reported):
            _publish(event.report, places, is_verbose=is_verbose)

    return publish


def _publish(report: AuditReport, places: Sequence[Place], *, is_verbose: bool) -> None:
    failed: UsageError | None = None
    for place in places:
        text = _render(report, place.format_name, is_verbose=is_verbose).rstrip("\n")
        if place.path is None:
            _print(text, place.format_name)
            continue
        try:
            place.path.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            why = f"{place.path}: cannot be written: {error.strerror}"
            failed = failed or UsageError(why, hint="Name another file: --output")
    if failed is not None:
        raise failed
    if all(place.path is not None for place in places):
        write_result(report.sentence)


def _print(text: str, format_name: str) -> None:
    if format_name == "json":
        write_json_text(text)
    else:  # the others but text are documents, for programs or for pages
        write_result(text, is_verbatim=format_name != "text")


def _render(report: AuditReport, format_name: str, *, is_verbose: bool) -> str:
    """Return the report in that format; of the others nothing is imported."""
    match format_name:
        case "json":
            from integrity.report.audit_json import render_json

            return render_json(report)
        case "junit":
            from integrity.report.audit_junit import render_junit

            return render_junit(report)
        case "markdown":
            from integrity.report.audit_markdown import render_markdown

            return render_markdown(report, is_verbose=is_verbose)
        case _:
            from integrity.report.audit_text import render_text

            return render_text(report, is_verbose=is_verbose)
