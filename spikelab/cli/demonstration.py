"""`spikelab demo`: the whole promise on real input, ending in one page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikelab.agreement import agreement
from spikelab.cli.output import ready
from spikelab.clocked import Float32
from spikelab.errors import SpikelabError
from spikelab.hardware import nir
from spikelab.hardware.accounting import energy
from spikelab.hardware.event_driven import EventDriven

__all__ = ["demonstrate"]

_FULL, _SMALL = "fsdd-spikes", "fsdd-spikes-mini"
_COSTS = ("45nm", "loihi-2018", "spinnaker-1")


def _data(name: str | None) -> Any:
    """The data set asked for, else the full bundled one, else the small one of the package."""
    from spikelab.events.dataset import dataset

    if name is not None:
        return name, dataset(name)
    try:
        return _FULL, dataset(_FULL)
    except SpikelabError:
        return _SMALL, dataset(_SMALL)


def demonstrate(output: Path, data: str | None, epochs: int | None, *, quiet: bool) -> dict[str, Any]:
    """Train, run on two back-ends, account, export, and write the page.

    Args:
        output: folder to write into; made if it is not there.
        data: name of a data set with a recipe; None takes the largest at hand.
        epochs: passes over the data; None takes the recipe's.
        quiet: print nothing.

    Returns:
        The figures, ready for JSON.
    """
    from spikelab.nn import compare, to_network
    from spikelab.report import report_page
    from spikelab.train import evaluate, fit
    from spikelab.train.recipes import recipe

    console = Console(quiet=quiet, highlight=False)
    name, found = _data(data)
    plan, kind = recipe(name), found.card["kind"]
    output.mkdir(parents=True, exist_ok=True)
    train, test = found.frames(dt=plan.dt, steps=plan.steps, late=plan.late)
    console.print(f"[bold]1 data[/bold]     {name}: {kind}")
    console.print(f"           {len(train)} recordings to train on, {len(test)} to test")
    began = time.perf_counter()
    model = plan.model(train.shape, len(train.classes))
    settings = dict(plan.settings) | ({"epochs": epochs} if epochs else {})
    parameters = sum(p.numel() for p in model.parameters())
    console.print(f"[bold]2 train[/bold]    {parameters:,} parameters, {settings['epochs']} epochs")
    history = fit(model, train, test, seed=plan.seed, progress=not quiet, **settings)
    result = evaluate(model, test)
    seconds = time.perf_counter() - began
    console.print(f"           test accuracy {100 * result.accuracy:.2f} % after {seconds:.0f} s")

    net = to_network(model, train.shape)
    x, _ = test.batch(np.arange(len(test)))
    reference, events = Float32().run(net, x), EventDriven(threads=2).run(net, x)
    exact, torch_ = agreement(net, x, events.spikes), compare(model, net, x)
    console.print(f"[bold]3 spikes[/bold]   event-driven against clocked: {exact}")
    console.print(f"           torch against clocked: {torch_}")

    reports = {table: energy(events.counts, table) for table in _COSTS}
    each = events.counts.synaptic_ops / events.counts.samples
    console.print(f"[bold]4 energy[/bold]   {each:,.0f} synaptic operations an inference")
    for table, report in reports.items():
        parts = ", ".join(f"{what} {value}" for what, value in report.per_sample.items() if value.value)
        console.print(f"           {table}: {parts}")

    path = output / "model.nir"
    loss = nir.write(net, path)
    back = Float32().run(nir.read(path), x)
    same = all(np.array_equal(back.spikes[n], reference.spikes[n]) for n in net.populations)
    readers = ", ".join(n for n, why in loss.readers.items() if not why)
    console.print(f"[bold]5 export[/bold]   {path}: spikes read back {'identical' if same else 'DIFFERENT'}")
    console.print(f"           other programs that give the same spikes: {readers or 'none'}")
    for program, why in loss.readers.items():
        if why:
            console.print(f"           {program} does not: {why[0]}")

    page = output / "index.html"
    facts = {
        "Data": f"{name}: {kind}",
        "Event-driven against clocked": f"{exact.differing:,} of {exact.decisions:,} spike decisions differ",
        "Torch against clocked": f"{torch_.differing:,} of {torch_.decisions:,} spike decisions differ",
        "Exported file": f"{path.name}; spikes read back {'identical' if same else 'different'}",
    }
    report_page(
        page,
        title=f"spikelab demo: {name}",
        network=net,
        run=events,
        energy=reports["45nm"],
        history=history,
        labels=result.labels,
        predictions=result.predictions,
        classes=train.classes,
        facts=facts,
    )
    console.print(f"[bold]6 page[/bold]     {page}: open it in a browser")
    return ready(  # type: ignore[no-any-return]
        {
            "dataset": name,
            "kind": kind,
            "train": len(train),
            "test": len(test),
            "test_accuracy": result.accuracy,
            "seconds_training": seconds,
            "decisions": exact.decisions,
            "event_driven_differing": exact.differing,
            "torch_differing": torch_.differing,
            "synaptic_ops_per_inference": each,
            "energy_per_inference_J": {t: {c: v.value for c, v in r.per_sample.items()} for t, r in reports.items()},
            "nir": str(path),
            "nir_identical": same,
            "page": str(page),
        }
    )
