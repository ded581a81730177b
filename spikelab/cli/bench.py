"""`spikelab bench`: speed and accuracy, one JSON line per case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikelab.cli.output import ready, speaking
from spikelab.errors import UnsupportedError

__all__ = ["accuracy", "app", "neuron", "sparse"]

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
def sparse(
    threads: Annotated[int, typer.Option(min=1, help="of torch and of the kernels")] = 2,
    rounds: Annotated[int, typer.Option(min=3, help="alternating rounds per case")] = 15,
    as_json: Json = False,
) -> None:
    """Products by the non-zero inputs against dense ones, from 1 to 30 % of ones."""
    with speaking(as_json):
        from spikelab.bench.sparse import cases

        for case in cases(threads=threads, rounds=rounds):
            low, high = case.quartiles
            text = f"{case.case}: {1e3 * case.ours_s:.2f} ms; {case.reference}: {1e3 * case.reference_s:.2f} ms"
            text += f"; ratio {case.ratio:.3f} ({low:.3f} to {high:.3f})"
            typer.echo(case.line() if as_json else text)
