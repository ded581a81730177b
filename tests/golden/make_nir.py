"""Write the golden `.nir` file: `python -m tests.golden.make_nir` in the repository root.

One network with every op, neuron and thing that only our metadata hold, its input and its spikes.
Files of format 1 must give these spikes for ever: make a new file for a new format, and keep this one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikelab.clocked import Float32
from spikelab.hardware.nir import write
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LI, LIF, CubaLIF
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Scale, Sparse, SumPool2d

HERE = Path(__file__).parent


def network() -> Network:
    rng = np.random.default_rng(20)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0.4, 1, shape) / np.sqrt(np.prod(shape[1:]))

    populations = {
        "retina": Population((2, 8, 8), kind="input"),
        "cochlea": Population((6,), kind="input"),
        "conv": Population((4, 8, 8), LIF(tau_mem=np.linspace(2e-3, 9e-3, 4).reshape(4, 1, 1), input_gain="1-a")),
        "pooled": Population((4, 4, 4), IF(v_reset=0.1, reset="soft"), initial={"v": 0.25}),
        "memory": Population((7,), CubaLIF(tau_syn=2e-3, tau_mem=6e-3, v_threshold=np.linspace(0.5, 1, 7))),
        "sum": Population((7,)),
        "out": Population((7,), LIF(tau_mem=4e-3, v_leak=-0.1, comparison=">=", reset="undecayed")),
        "potential": Population((3,), LI(tau_mem=0.01, input_gain="dt/tau")),
    }
    ends = rng.integers(0, 7, (2, 20))
    projections = [
        Projection("retina", "conv", (Conv2d(weights(4, 1, 3, 3) * 4, weights(4), padding=1, groups=2),)),
        Projection("conv", "pooled", (SumPool2d(2),)),
        Projection("cochlea", "memory", (Linear(weights(7, 6), weights(7) * 0.1),), delay=2),
        Projection("memory", "memory", (Sparse(*ends, weights(20), (7, 7)),), delay=rng.integers(1, 5, 20)),
        Projection("pooled", "sum", (AvgPool2d(2), Flatten(), Linear(weights(7, 16)))),
        Projection("memory", "sum", (Scale(np.linspace(0.5, 1.5, 7)),)),
        Projection("sum", "out"),
        Projection("sum", "potential", (Linear(weights(3, 7)),), delay=1),
    ]
    return Network(populations, projections, "0.7 ms")


if __name__ == "__main__":
    net = network()
    write(net, HERE / "nir_format_1.nir", extensions=True)
    rng = np.random.default_rng(21)
    x = {n: (rng.random((40, 1, *net.populations[n].shape)) < 0.3).astype(np.uint8) for n in net.inputs}
    run = Float32().run(net, x)
    spikes = {n: run.spikes[n].astype(np.float32) for n in ("conv", "pooled", "memory", "out", "potential")}
    np.savez_compressed(HERE / "nir_format_1.npz", **{f"x_{n}": v for n, v in x.items()}, **spikes)
