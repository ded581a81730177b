"""The command line: files in, files out, `--json` everywhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from spikelab.cli import bench, events
from spikelab.cli.output import say, speaking

__all__ = ["app", "demo", "energy", "export", "run", "train", "version"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Spiking networks from a real recording to spikes, joules and an exported file.",
)
"""All commands."""

app.add_typer(events.app, name="events")
app.add_typer(bench.app, name="bench")
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Foreign = Annotated[
    bool, typer.Option("--foreign", help="read the graph as it stands, without what spikelab noted beside it")
]
Root = Annotated[Path | None, typer.Option(help="folder of the data set, if it lies elsewhere")]


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    """Spiking networks from a real recording to spikes, joules and an exported file."""
    if show:
        import spikelab

        typer.echo(spikelab.__version__)
        raise typer.Exit


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="folder for the page, the network and the figures")] = Path(
        "spikelab-demo"
    ),
    data: Annotated[str | None, typer.Option(help="data set; the full bundled one, or the small packaged one")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the data")] = None,
    as_json: Json = False,
) -> None:
    """Train on event data, run event-driven with the same spikes, account the energy, export, and write a page."""
    with speaking(as_json):
        from spikelab.cli.demonstration import demonstrate

        facts = demonstrate(output, data, epochs, quiet=as_json)
        say(facts, as_json, "")


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="data set with a recipe, e.g. fsdd-spikes")],
    output: Annotated[Path, typer.Option(help="network to write")] = Path("model.nir"),
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the data")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of start weights and training")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="file to write after each epoch and to resume from")] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Train the recipe of a data set and write the network as NIR."""
    with speaking(as_json):
        from spikelab.cli.work import train_recipe

        say(train_recipe(dataset, output, epochs, seed, checkpoint, root, progress=not as_json), as_json)


@app.command()
def run(
    model: Annotated[Path, typer.Argument(help="network, a .nir file")],
    on: Annotated[str, typer.Option(help="target: float or event")] = "float",
    input_: Annotated[Path, typer.Option("--input", help="npz with x [T, B, *shape], or x_<population> each")] = ...,  # type: ignore[assignment]
    output: Annotated[Path, typer.Option(help="npz to write: z [T, B, *out] and spikes_<population>")] = ...,  # type: ignore[assignment]
    dt: Annotated[str | None, typer.Option(help="time step, for files that have none, as in '1 ms'")] = None,
    mode: Annotated[str, typer.Option(help="of the event-driven target: exact or fast")] = "exact",
    foreign: Foreign = False,
    as_json: Json = False,
) -> None:
    """Run a network on an input and write its spikes."""
    with speaking(as_json):
        from spikelab.cli.work import run_file

        say(run_file(model, on, input_, output, dt, mode, foreign), as_json)


@app.command()
def energy(
    model: Annotated[Path, typer.Argument(help="network, a .nir file")],
    input_: Annotated[Path, typer.Option("--input", help="npz with x [T, B, *shape]")] = ...,  # type: ignore[assignment]
    costs: Annotated[str, typer.Option(help="cost table: a name or a TOML file")] = "45nm",
    on: Annotated[str, typer.Option(help="target whose operations are counted: float or event")] = "event",
    dt: Annotated[str | None, typer.Option(help="time step, for files that have none")] = None,
    foreign: Foreign = False,
    as_json: Json = False,
) -> None:
    """Count the operations of a run and price them."""
    with speaking(as_json):
        from spikelab.cli.work import energy_of

        report = energy_of(model, input_, costs, on, dt, foreign)
        say(report.to_dict(), as_json, str(report))


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="network, a .nir file")],
    output: Annotated[Path, typer.Option(help="file to write")] = ...,  # type: ignore[assignment]
    to: Annotated[str, typer.Option(help="format: nir")] = "nir",
    extensions: Annotated[
        bool, typer.Option("--extensions", help="write what NIR cannot say into metadata that only spikelab reads")
    ] = False,
    if_convention: Annotated[str, typer.Option(help="r of an IF node: nir (1/dt) or step (1)")] = "nir",
    dt: Annotated[str | None, typer.Option(help="time step, for files that have none")] = None,
    foreign: Foreign = False,
    as_json: Json = False,
) -> None:
    """Write a network for other tools, with a report of what was changed or lost."""
    with speaking(as_json):
        from spikelab.cli.work import export_file

        report = export_file(model, output, to, extensions, if_convention, dt, foreign)
        say(asdict(report), as_json, str(report))
