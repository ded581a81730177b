"""`spikelab events`: look into event files, convert, cut and show them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikelab.cli.output import say, speaking

__all__ = ["app", "convert", "cut", "group", "info", "view"]

app = typer.Typer(no_args_is_help=True, help="Look into event files, convert, cut and show them.")
"""Commands on event files."""

File = Annotated[Path, typer.Argument(help="recording, of any format that spikelab reads")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Errors = Annotated[str, typer.Option(help="damage: strict refuses, truncate stops before it, skip goes on behind it")]
Shape = Annotated[str | None, typer.Option(help="sensor, WIDTHxHEIGHT or CHANNELS, where the file does not say it")]
Sort = Annotated[bool, typer.Option("--sort", help="put events in order of time where the file's are not")]
Format = Annotated[
    str | None, typer.Option("--format", help="format of the recording; else known by its content, then its name")
]
Recording = Annotated[int | None, typer.Option(min=0, help="number of one recording of a set")]
Read = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, an option of the recording's format, as in stream=0")]
Write = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, an option of the new format, as in codec=zstd")]
To = Annotated[str | None, typer.Option(help="format to write; else by the end of the new name")]
Drop = Annotated[
    list[str] | None,
    typer.Option(help="give up what the new format cannot hold: shape, times, polarity, triggers, imu, frames, extras"),
]
Start = Annotated[str | None, typer.Option(help="first time inside, from the first event on, as in '100 ms'")]
Stop = Annotated[str | None, typer.Option(help="first time behind")]
Absolute = Annotated[bool, typer.Option("--absolute", help="times as the file has them, not from its first event on")]
Crop = Annotated[str | None, typer.Option(help="X,Y,WIDTH,HEIGHT, or FIRST,CHANNELS; X,Y becomes 0,0")]


@app.callback()
def group() -> None:
    """Look into event files, convert, cut and show them."""


@app.command()
def info(
    file: File,
    errors: Errors = "strict",
    shape: Shape = None,
    sort: Sort = False,
    format_: Format = None,
    read: Read = None,
    as_json: Json = False,
) -> None:
    """Count, time span, rate, coordinates, polarity and format of a recording, and what lies beside its events.

    Of a set, counts and duration are sums over its recordings, times and coordinates extremes.
    """
    facts: dict[str, Any] = {}
    with speaking(as_json):
        from spikelab.cli.recordings import Asked, warned
        from spikelab.events import info as describe

        asked = Asked.of(errors, shape, sort, format_, None, read or ())
        with warned(facts, as_json):
            facts |= describe(file, **asked.reading)
        say(facts, as_json)


@app.command()
def convert(
    file: File,
    output: Annotated[Path, typer.Argument(help="file to write")],
    to: To = None,
    drop: Drop = None,
    write: Write = None,
    errors: Errors = "strict",
    shape: Shape = None,
    sort: Sort = False,
    format_: Format = None,
    recording: Recording = None,
    read: Read = None,
    as_json: Json = False,
) -> None:
    """Write a recording in another format; refuses to lose anything unless --drop names it."""
    with speaking(as_json):
        from spikelab.cli.recordings import Asked

        asked = Asked.of(errors, shape, sort, format_, recording, read or ())
        _write(file, output, asked, {}, to, drop, write, as_json)


@app.command()
def cut(
    file: File,
    output: Annotated[Path, typer.Argument(help="file to write")],
    start: Start = None,
    stop: Stop = None,
    absolute: Absolute = False,
    crop: Crop = None,
    count: Annotated[int | None, typer.Option(min=1, help="number of events after which it ends")] = None,
    to: To = None,
    drop: Drop = None,
    write: Write = None,
    errors: Errors = "strict",
    shape: Shape = None,
    sort: Sort = False,
    format_: Format = None,
    recording: Recording = None,
    read: Read = None,
    as_json: Json = False,
) -> None:
    """Write a part of a recording, in time and on the sensor; times stay as they are, unless --drop times."""
    with speaking(as_json):
        from spikelab.cli.recordings import Asked

        asked = Asked.of(errors, shape, sort, format_, recording, read or ())
        part = {"start": start, "stop": stop, "absolute": absolute, "crop": crop, "most": count}
        _write(file, output, asked, part, to, drop, write, as_json)


@app.command()
def view(
    file: File,
    output: Annotated[Path, typer.Argument(help="page to write, .html or .htm")],
    start: Start = None,
    stop: Stop = None,
    absolute: Absolute = False,
    crop: Crop = None,
    most: Annotated[int, typer.Option(min=1, help="events on the page; of more, that many are shown")] = 400_000,
    errors: Errors = "strict",
    shape: Shape = None,
    sort: Sort = False,
    format_: Format = None,
    recording: Recording = None,
    read: Read = None,
    as_json: Json = False,
) -> None:
    """Write a page that plays a recording: one file that needs no network."""
    facts: dict[str, Any] = {}
    with speaking(as_json):
        from spikelab.cli.recordings import Asked, check_output, warned
        from spikelab.report.player import write_player

        check_output(file, output, (".html", ".htm"))
        asked = Asked.of(errors, shape, sort, format_, recording, read or ())
        part = {"start": start, "stop": stop, "absolute": absolute, "crop": crop}
        with warned(facts, as_json):
            name, source = _open(file, asked, part)
            facts |= {"input": str(file), "format": name, "output": str(output)}
            facts |= write_player(source, output, title=file.name, most=most)
        thinned = f", {facts['shown']} of them shown" if facts["shown"] != facts["count"] else ""
        say(facts, as_json, f"wrote {output}, {output.stat().st_size:,} bytes: {facts['count']:,} events{thinned}")


def _open(file: Path, asked: Any, part: dict[str, Any]) -> tuple[str, Any]:
    """Format and source of a recording, or of a part of it; a part needs order in time."""
    from spikelab.cli.cutting import cut as part_of
    from spikelab.cli.recordings import InMemory, opened
    from spikelab.events.chunks import collect

    name, source = opened(file, asked)
    if asked.sort and part:
        source = InMemory(collect(source, sort=True), source.extras())
    return name, part_of(source, **part)


def _write(
    file: Path,
    output: Path,
    asked: Any,
    part: dict[str, Any],
    to: str | None,
    drop: list[str] | None,
    write: list[str] | None,
    as_json: bool,
) -> None:
    from spikelab.cli.conversion import Conversion, drops, target_format
    from spikelab.cli.events_progress import Progress
    from spikelab.cli.recordings import check_output, settings, warned

    target = target_format(output, to)
    dropped, options = drops(drop or ()), settings("--write", write or ())
    check_output(file, output)
    facts: dict[str, Any] = {}
    with warned(facts, as_json):
        facts |= {"input": str(file), "format": _open(file, asked, part)[0]}
        with Progress(quiet=as_json) as progress:
            facts |= Conversion(output, target, dropped, options).run(
                lambda: _open(file, asked, part)[1], asked.sort, progress.tell
            )
    say(facts, as_json, _sentence(facts, target.title))


def _sentence(facts: dict[str, Any], title: str) -> str:
    sensor = f"{facts['width']} x {facts['height']}"
    span = "" if facts["duration_us"] is None else f", {facts['duration_us'] / 1e6:g} s"
    text = (
        f"wrote {facts['count']:,} events ({sensor}{span}) to {facts['output']} ({title}, {facts['output_bytes']:,} "
        "bytes); read back and found equal"
    )
    left = [f"{what} {name}" if isinstance(what, int) else f"{name}: {what}" for name, what in facts["dropped"].items()]
    return text + (f"\nleft out: {'; '.join(left)}" if left else "")
