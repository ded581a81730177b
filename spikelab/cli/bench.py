"""`spikelab bench`: speed and accuracy, one JSON line per case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikelab.cli.output import ready, speaking
from spikelab.errors import UnsupportedError

__all__ = ["accuracy", "app", "gpu", "neuron"]

app = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy.")
"""Commands that measure."""
Json = Annotated[bool, typer.Option("--json", help="print one JSON line per case")]


@app.command()
def neuron(
    threads: Annotated[int, typer.Option(min=1, help="of torch and of the kernels")] = 2,
    rounds: Annotated[int, typer.Option(min=3, help="alternating rounds per case")] = 15,
    as_json: Json = False,
) -> None:
    """A neuron layer, forward and backward, against a plain torch loop and the memory bound."""
    with speaking(as_json):
        from spikelab.bench.neuron import cases

        for case in cases(threads=threads, rounds=rounds):
            low, high = case.quartiles
            text = f"{case.case}: {1e3 * case.ours_s:.1f} ms; {case.reference}: {1e3 * case.reference_s:.1f} ms"
            text += f"; ratio {case.ratio:.3f} ({low:.3f} to {high:.3f})"
            typer.echo(case.line() if as_json else text)


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
def gpu(
    rounds: Annotated[int, typer.Option(min=3, help="rounds of ours and of every reference in turn")] = 15,
    as_json: Json = False,
) -> None:
    """A LIF layer on a CUDA device against a copy of as many bytes, a plain loop, and spikingjelly where it is."""
    with speaking(as_json):
        from spikelab.bench.gpu import cases

        for row in cases(rounds=rounds):
            size = "{steps} x {samples} x {neurons} {dtype}".format(**row["counts"])
            text = f"{row['case']} {size}: {1e3 * row['ours_s']:.3f} ms; {row['reference']}: "
            text += f"{1e3 * row['reference_s']:.3f} ms; ratio {row['ratio']:.3f}; "
            text += f"{100 * row['counts']['share_of_copy']:.0f} % of the copy's bandwidth"
            typer.echo(json.dumps(ready(row)) if as_json else text)
