"""Write `spyx.npz`; needs spyx 1.0.0 and JAX on a CPU.

Recurrences, as read in spyx/nn.py; the spike is that of the potential left by the step before, strictly above the
threshold, so the output comes one step late; the subtraction is not decayed in IF and LIF, but is in CuBaLIF:

    IF        s = [V > th]; V = V + x - s th
    LIF       s = [V > th]; V = beta V + x - s th
    CuBaLIF   s = [V > th]; V -= s th; I = alpha I + x; V = beta V + I
    ALIF      h = threshold + T; s = [V > h]; V = beta V + x - s h; T = gamma T + (1 - gamma) s
    PSU_LIF   V = beta V + x; s = [V > th]: no reset, output at once
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import stand_ins
from flax import nnx
from vectors import NEURONS, Vectors, drive, output_gradient, small_drive

stand_ins.without("tonic", "torchvision")

from spyx import axn  # noqa: E402
from spyx import nn as snn  # noqa: E402

vectors = Vectors("spyx", spyx=version("spyx"), jax=jax.__version__)


def case(name: str, neuron: Any, scale: float, offset: int, **arguments: Any) -> None:
    layer = neuron((NEURONS,), rngs=nnx.Rngs(0), **arguments)
    z, _ = snn.run(layer, jnp.asarray(drive(scale, offset, name)))
    vectors.add(f"{neuron.__name__} {name}", neuron.__name__, np.asarray(z), scale, offset, **arguments)


case("exact", snn.LIF, 1.0, 32, beta=0.5, threshold=1.0)
case("ordinary", snn.LIF, 1.0, 15, beta=0.9, threshold=0.9)
case("exact", snn.CuBaLIF, 1.0, 15, alpha=0.5, beta=0.5, threshold=1.0)
case("ordinary", snn.CuBaLIF, 0.25, 15, alpha=0.8, beta=0.9, threshold=0.9)
case("ordinary", snn.ALIF, 1.0, 40, beta=0.9, gamma=0.9375, threshold=0.9)
case("exact", snn.IF, 1.0, 12, threshold=1.0)
case("ordinary", snn.PSU_LIF, 0.5, 10, beta=0.9, threshold=0.9)

arguments = {"beta": 0.9, "threshold": 0.9}
layer = snn.LIF((16,), activation=axn.superspike(10), rngs=nnx.Rngs(0), **arguments)
x = jnp.asarray(small_drive(1.0, 15))
z, _ = snn.run(layer, x)
gradient = jax.grad(lambda u: (snn.run(layer, u)[0] * output_gradient()).sum())(x)
words = {"surrogate": "superspike", "steepness": 10}
also = {"gradient": np.asarray(gradient)}
vectors.add("LIF gradient", "LIF", np.asarray(z), 1.0, 15, also, **arguments, **words)

vectors.write()
