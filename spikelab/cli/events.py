"""`spikelab events`: look into event files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikelab.cli.output import say, speaking

__all__ = ["app", "group", "info"]

app = typer.Typer(no_args_is_help=True, help="Look into event files.")
"""Commands on event files."""


@app.callback()
def group() -> None:
    """Look into event files."""


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="recording: AEDAT 4, N-MNIST .bin, SHD-layout HDF5")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Count, time span, coordinates, polarity and format of a recording."""
    with speaking(as_json):
        from spikelab.events import info as describe

        say(describe(file), as_json)
