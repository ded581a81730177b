"""Networks, runs and pages that the tests of the report share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.clocked import Run, run
from spikelab.hardware.accounting import energy
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF, CubaLIF
from spikelab.ops import Flatten, Linear
from spikelab.report import report_page

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FACTS = {
    "Data set": "FSDD spikes: real speech through a simulated cochlea",
    "Spikes that differ, float and event-driven": "0 of 1,234,567",
    "File exported": "fsdd.nir",
}


def recurrent(classes: int = 10, channels: int = 128, hidden: int = 128) -> Network:
    rng = np.random.default_rng(0)
    return Network(
        {
            "input": Population((channels,), kind="input"),
            "hidden": Population((hidden,), CubaLIF()),
            "readout": Population((classes,), LI()),
        },
        [
            Projection("input", "hidden", Linear(rng.normal(0, 0.25, (hidden, channels)))),
            Projection("hidden", "hidden", Linear(rng.normal(0, 0.1, (hidden, hidden))), delay=1),
            Projection("hidden", "readout", Linear(rng.normal(0, 0.1, (classes, hidden)))),
        ],
        dt="5 ms",
    )


def deep() -> Network:
    """Five layers behind a sensor; the first costs a thousand times what the last does."""
    rng = np.random.default_rng(1)
    sizes = [2 * 18 * 18, 400, 50, 20, 10, 5]
    populations = {"sensor": Population((2, 18, 18), kind="input")}
    projections, before = [], "sensor"
    for k, n in enumerate(sizes[1:]):
        name = f"layer_{k}_with_a_rather_long_name" if k % 2 else f"L{k}"
        populations[name] = Population((n,), LI() if k == 4 else LIF())
        weight = Linear(rng.normal(0, 2 / np.sqrt(sizes[k]), (n, sizes[k])))
        projections.append(Projection(before, name, (Flatten(), weight) if k == 0 else weight))
        before = name
    return Network(populations, projections, dt="1 ms")


def poisson(net: Network, steps: int, samples: int, mean: float = 0.06) -> Run:
    (name,) = net.inputs
    x = np.random.default_rng(2).poisson(mean, (steps, samples, *net.populations[name].shape))
    return run(net, x.astype(np.float32))


def history(epochs: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": k + 1,
            "loss": 2.3 * np.exp(-k / 5) + 0.05,
            "accuracy": 1 - 0.9 * np.exp(-k / 4),
            "validation_loss": 2.3 * np.exp(-k / 5) + 0.12,
            "validation_accuracy": 0.97 - 0.87 * np.exp(-k / 4),
        }
        for k in range(epochs)
    ]


def answers(classes: int, samples: int) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, classes, samples)
    return {
        "labels": labels,
        "predictions": np.where(rng.random(samples) < 0.9, labels, rng.integers(0, classes, samples)),
    }


def demo(path: Path) -> None:
    net = recurrent()
    ran = poisson(net, 100, 8)
    told = answers(10, 8)
    report_page(
        path,
        title="Demo",
        network=net,
        run=ran,
        energy=energy(ran.counts),
        history=history(20),
        classes=DIGITS,
        facts=FACTS,
        **told,
    )


def many_classes(path: Path) -> None:
    net = recurrent(classes=35)
    ran = poisson(net, 50, 2)
    names = [f"a remarkably long class name, number {k} <b>" for k in range(35)]
    report_page(
        path,
        title="<script>alert(1)</script> " + "verylongword" * 12,
        network=net,
        run=ran,
        energy=energy(ran.counts, "loihi-2018"),
        history=history(1),
        classes=names,
        facts={"name " * 20: "x" * 300},
        **answers(35, 2000),
    )


def silent(path: Path) -> None:
    net = recurrent(classes=1)
    ran = poisson(net, 20, 2, mean=0.0)
    report_page(
        path,
        title="Silent",
        network=net,
        run=ran,
        energy=energy(ran.counts),
        history=[{"loss": 1.0}],
        labels=[0, 0],
        predictions=[0, 0],
        classes=["漢字"],
    )


def five_layers(path: Path) -> None:
    net = deep()
    ran = poisson(net, 60, 3, mean=0.2)
    costs = energy(ran.counts, memory="dram")
    report_page(
        path,
        title="Five layers",
        network=net,
        run=ran,
        energy=costs,
        sample=2,
        classes=["a$b$", "_x", "<i>", "y", "z"],
        **answers(5, 90),
    )


PAGES: dict[str, Callable[[Path], None]] = {"demo": demo, "many": many_classes, "silent": silent, "five": five_layers}


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page, written once."""
    folder = tmp_path_factory.mktemp("pages")
    for name, write in PAGES.items():
        write(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.fixture(scope="session")
def told() -> dict[str, Any]:
    """Labels and predictions of the demo page."""
    return answers(10, 8)


@pytest.fixture(scope="session")
def facts() -> dict[str, str]:
    """Facts of the demo page."""
    return FACTS


@pytest.fixture(scope="session")
def network() -> Callable[..., Network]:
    """Makes a small recurrent network with three classes; `hidden` neurons."""
    return lambda hidden=8: recurrent(classes=3, channels=8, hidden=hidden)


@pytest.fixture(scope="session")
def noise() -> Callable[[Network], Run]:
    """Runs a network on four samples of noise."""
    return lambda net: poisson(net, 20, 4, mean=0.5)
