"""`spikelab bench`: speed and accuracy, one JSON line per case."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikelab.cli.output import ready, speaking
from spikelab.errors import UnsupportedError

if TYPE_CHECKING:
    from spikelab.bench.lines import Line
    from spikelab.bench.timing import Settings

__all__ = ["accuracy", "app", "conv", "events", "gpu", "neuron", "shd", "sparse"]

app = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy.")
"""Commands that measure."""
Json = Annotated[bool, typer.Option("--json", help="print one JSON line per case")]


Rounds = Annotated[int, typer.Option(min=3, help="alternating rounds per case")]
Threads = Annotated[int, typer.Option(min=1, help="of torch, of the kernels and of the peers")]
Only = Annotated[str, typer.Option(help="cases and references with one of these words in their name, as in norse,spyx")]


@app.command()
def neuron(rounds: Rounds = 15, threads: Threads = 2, only: Only = "", as_json: Json = False) -> None:
    """Layers of neurons, forward and backward, against peers, plain torch loops and the memory bound."""
    with speaking(as_json):
        from spikelab.bench.neuron import cases

        _print(cases(_settings(rounds, threads, only)), as_json)


@app.command()
def shd(
    rounds: Rounds = 15,
    threads: Threads = 2,
    only: Only = "",
    activity: Annotated[str, typer.Option(help="shares of active inputs, as in 0.01,0.02,0.05,0.1,0.2")] = "0.02",
    as_json: Json = False,
) -> None:
    """A training step of a recurrent net, against peers, a plain torch loop and the dense products alone."""
    with speaking(as_json):
        from spikelab.bench.shd import cases

        _print(cases(_settings(rounds, threads, only), _shares(activity)), as_json)


@app.command()
def conv(rounds: Rounds = 15, threads: Threads = 2, only: Only = "", as_json: Json = False) -> None:
    """A training step of a convolutional net, against peers, a plain torch loop and the same net with ReLU."""
    with speaking(as_json):
        from spikelab.bench.conv import cases

        _print(cases(_settings(rounds, threads, only)), as_json)


@app.command()
def sparse(rounds: Rounds = 15, threads: Threads = 2, only: Only = "", as_json: Json = False) -> None:
    """Products by the non-zero inputs against dense ones, from 1 to 30 % of ones."""
    with speaking(as_json):
        from spikelab.bench.sparse import cases

        _print(cases(_settings(rounds, threads, only)), as_json)


@app.command()
def events(
    rounds: Rounds = 15,
    only: Only = "",
    peers: Annotated[str, typer.Option(help="interpreter of the environment that make bench-events-peers made")] = "",
    recording: Annotated[Path | None, typer.Option(help="of a camera, to be repeated; None is a bundled one")] = None,
    count: Annotated[int, typer.Option(min=1000, help="events of each file")] = 10_000_000,
    long_bytes: Annotated[int, typer.Option(min=0, help="size of the file that is streamed; 0 leaves it out")] = 2
    * 10**9,
    folder: Annotated[Path | None, typer.Option(help="for the files, for a while")] = None,
    as_json: Json = False,
) -> None:
    """Event files of every format, read by ours and by the fastest readers; 2 GB of EVT3 streamed to frames."""
    with speaking(as_json):
        from spikelab.bench.event_recordings import RECORDING
        from spikelab.bench.events import cases

        lines = cases(
            _settings(rounds, 2, only),
            python=peers or sys.executable,
            recording=recording or RECORDING,
            count=count,
            long_bytes=long_bytes,
            folder=folder,
        )
        _print(lines, as_json)


def _settings(rounds: int, threads: int, only: str) -> Settings:
    from spikelab.bench.timing import Settings

    return Settings(rounds=rounds, threads=threads, only=tuple(w.strip() for w in only.split(",") if w.strip()))


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0.0 < share <= 1.0 for share in shares):
        raise UnsupportedError(f"--activity: found {text!r}; expected shares above 0 and up to 1, as in 0.02,0.1")
    return shares


def _print(lines: Iterable[Line], as_json: bool) -> None:
    for line in lines:
        typer.echo(line.line() if as_json else line.text())


@app.command()
def accuracy(
    dataset: Annotated[str, typer.Argument(help="data set with a recipe")],
    split: Annotated[str, typer.Option(help="folds, speakers or seeds")] = "folds",
    root: Annotated[Path | None, typer.Option(help="folder of the full data set")] = None,
    only: Annotated[str, typer.Option(help="numbers to run, as in 0,1")] = "",
    as_json: Json = False,
) -> None:
    """Train and test a recipe per fold, speaker or seed, beside baselines, on all back-ends."""
    with speaking(as_json):
        from spikelab.bench.accuracy import results

        if not all(n.strip().isdecimal() for n in only.split(",") if n):
            raise UnsupportedError(f"--only: found {only!r}; expected numbers, as in 0,1")
        chosen = tuple(int(n) for n in only.split(",") if n)
        total = []
        for row in results(dataset, split, root=None if root is None else str(root), only=chosen, progress=not as_json):
            total.append(row["accuracy"])
            typer.echo(
                json.dumps(ready(row))
                if as_json
                else f"{split} {row['number']}: accuracy {row['accuracy']:.4f} in {row['seconds']:.0f} s"
            )
        if total and not as_json:
            typer.echo(f"mean {sum(total) / len(total):.4f} of {len(total)}")


@app.command()
def gpu(rounds: Rounds = 15, as_json: Json = False) -> None:
    """A LIF layer on a CUDA device against a copy of as many bytes, a plain loop, and spikingjelly where it is."""
    with speaking(as_json):
        from spikelab.bench.gpu import cases

        _print(cases(rounds=rounds), as_json)
