"""Every convention against recurrences written by hand: the five reference families of the published libraries.

The recurrences are those of the table in which spikingjelly, norse, sinabs, bindsnet, snntorch, spyx, lava-dl and
rockpool were measured: h = a v + x; s = [h > th]; v = h - s th, and so on. None of our code is used in them.
"""

import itertools
from typing import Any

import numpy as np
import pytest

from spikelab.neurons import IF, LI, LIF, CubaLI, CubaLIF, NeuronModel
from spikelab.neurons.kernel import kernel
from spikelab.neurons.primitives import NUMPY

DT, TAU_MEM, TAU_SYN = 1e-3, 9.5e-3, 4.5e-3
GAINS = ("one", "1-a", "dt/tau")
SYNAPSES = ("decay_then_add", "add_then_decay")

FIRE = [
    *itertools.product(("hard", "soft", "undecayed"), (">", ">="), ("one",)),
    ("soft", ">=", "many"),
    ("undecayed", ">=", "many"),
]
SPIKING: list[NeuronModel] = [
    *(LIF(TAU_MEM, reset=r, comparison=c, spikes=s, input_gain=g) for (r, c, s), g in itertools.product(FIRE, GAINS)),
    *(
        CubaLIF(TAU_SYN, TAU_MEM, reset=r, comparison=c, spikes=s, input_gain=g, synapse=o)
        for (r, c, s), g, o in itertools.product(FIRE, GAINS, SYNAPSES)
    ),
    *(IF(reset=r, comparison=c, spikes=s) for r, c, s in FIRE if r != "undecayed"),
]
READOUTS: list[NeuronModel] = [
    *(LI(TAU_MEM, input_gain=g) for g in GAINS),
    *(CubaLI(TAU_SYN, TAU_MEM, input_gain=g, synapse=o) for g, o in itertools.product(GAINS, SYNAPSES)),
]


def named(model: NeuronModel) -> str:
    return " ".join((type(model).__name__, *model.flags().values()))


def by_hand(model: NeuronModel, x: np.ndarray, a: float, b: float, g: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Spikes, the potential after each step (before its reset if undecayed), and how often it met the threshold."""
    flags = model.flags()
    i = v = z = np.zeros_like(x[0])
    spikes, potentials, met = [], [], 0
    for u in x:
        if "synapse" in flags:
            i = b * i + u if flags["synapse"] == "decay_then_add" else b * (i + u)
            u = i
        h = a * v + g * u
        if flags.get("reset") == "undecayed":
            h = h - z
        met += int(np.count_nonzero(h == 1))
        if not model.spiking:
            v = z = h
        else:
            if flags["spikes"] == "many":
                z = np.maximum(np.floor(h), 0)
            else:
                z = (h > 1 if flags["comparison"] == ">" else h >= 1).astype(x.dtype)
            v = {"hard": h * (1 - z), "soft": h - z, "undecayed": h}[flags["reset"]]
        spikes.append(z)
        potentials.append(v)
    return np.stack(spikes), np.stack(potentials), met


def stepped(model: NeuronModel, x: np.ndarray, c: Any) -> tuple[np.ndarray, np.ndarray]:
    s = type(model.initial())(*(np.full_like(x[0], v) for v in model.initial()))
    c = type(c)(*(x.dtype.type(v) for v in c))
    spikes, potentials = [], []
    for u in x:
        z, s = model.step(u, s, c, NUMPY)
        spikes.append(z)
        potentials.append(s.v)
    return np.stack(spikes), np.stack(potentials)


def numbers(model: NeuronModel, discretisation: str) -> tuple[float, float, float]:
    """Decays and gain, worked out here."""
    ratio = [DT / getattr(model, name, np.inf) for name in ("tau_mem", "tau_syn")]
    a, b = (np.exp(-r) if discretisation == "exponential" else 1 - r for r in ratio)
    return a, b, {"one": 1.0, "1-a": 1 - a, "dt/tau": ratio[0]}[model.flags().get("input_gain", "one")]


@pytest.mark.parametrize("model", SPIKING, ids=named)
def test_no_spike_differs_from_the_recurrence_in_100_000_decisions(model: NeuronModel) -> None:
    discretisation = "euler" if model.flags()["comparison"] == ">" else "exponential"
    a, b, g = numbers(model, discretisation)
    x = np.random.default_rng(0).normal(0.12, 0.35, (200, 512)) / g
    expected, potential, _ = by_hand(model, x, a, b, g)
    spikes, v = stepped(model, x, model.coefficients(DT, discretisation))
    assert expected.size >= 100_000 and 0.01 < (expected > 0).mean() < 0.9
    assert np.count_nonzero(spikes != expected) == 0
    np.testing.assert_allclose(v, potential, rtol=0, atol=1e-9)
    assert (expected.max() > 1) == (model.flags()["spikes"] == "many")


@pytest.mark.parametrize("model", SPIKING, ids=named)
def test_no_spike_differs_where_the_threshold_is_often_met_exactly(model: NeuronModel) -> None:
    # Euler with a = b = 1/2 and inputs on a grid of 1/4: all numbers are exact, many are exactly the threshold.
    times = {name: 2e-3 for name in ("tau_mem", "tau_syn") if hasattr(model, name)}
    model = type(model)(**times, **model.flags())
    a, b = 0.5 if times else 1.0, 0.5
    g = 1.0 if model.flags().get("input_gain", "one") == "one" else 0.5
    x = np.random.default_rng(1).integers(-2, 5, (6, 20_000)).astype(np.float32) / 4 / g
    expected, potential, met = by_hand(model, x, a, b, g)
    spikes, v = stepped(model, x, model.coefficients(DT, "euler"))
    assert expected.size >= 100_000 and met > 500
    assert np.count_nonzero(spikes != expected) == 0
    assert np.array_equal(v, potential)


@pytest.mark.parametrize("model", READOUTS, ids=named)
@pytest.mark.parametrize("discretisation", ["exponential", "euler"])
def test_a_readout_gives_the_potential_of_the_recurrence(model: NeuronModel, discretisation: str) -> None:
    x = np.random.default_rng(2).normal(0.1, 1.0, (200, 512))
    expected, _, _ = by_hand(model, x, *numbers(model, discretisation))
    output, v = stepped(model, x, model.coefficients(DT, discretisation))
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12)
    assert np.array_equal(output, v)


@pytest.mark.parametrize(
    "model",
    [
        LIF(TAU_MEM),
        CubaLIF(TAU_SYN, TAU_MEM, reset="soft", input_gain="dt/tau", synapse="add_then_decay"),
        IF(reset="soft"),
        LI(TAU_MEM),
        CubaLI(TAU_SYN, TAU_MEM, input_gain="dt/tau"),
    ],
    ids=named,
)
def test_the_compiled_kernel_gives_the_bits_of_the_recurrence(model: NeuronModel) -> None:
    a, b, g = (np.float32(v) for v in numbers(model, "exponential"))
    x = np.random.default_rng(3).normal(0.12, 0.35, (200, 512)).astype(np.float32) / g
    expected, potential, _ = by_hand(model, x, a, b, g)
    k = kernel(model)
    c, z = model.coefficients(DT, "exponential"), np.empty_like(x)
    start = np.zeros((len(k.states), 512), np.float32)
    end = np.empty_like(start)
    scalars = [np.float32(getattr(c, name)) for name in k.scalars]
    k.forward([x], scalars, start[:0], start, z, end, np.zeros((0, len(start), 512), np.float32), 0)
    assert np.count_nonzero(z != expected) == 0
    assert np.array_equal(end[k.states.index("v")], potential[-1])
