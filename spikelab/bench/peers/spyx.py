"""spyx: JAX, compiled as a whole. Layers without state run on all steps at once; only the neurons are scanned."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from spikelab.bench.tasks import ConvTask, NeuronTask, ShdTask
from spikelab.bench.timing import Settings, Step

__all__ = ["conv", "neuron", "shd"]


def _use(settings: Settings) -> None:
    """Ask JAX for this number of threads; it reads them when it is imported first."""
    os.environ.setdefault("NPROC", str(settings.threads))
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def neuron(task: NeuronTask, settings: Settings) -> Step:
    """`LIF`, scanned."""
    _use(settings)
    import jax
    from flax import nnx
    from spyx import axn
    from spyx import nn as spyx

    lif = spyx.LIF(task.x.shape[2:], beta=task.decay, activation=axn.superspike(10.0), rngs=nnx.Rngs(0))
    definition, state = nnx.split(lif)
    x, g = jax.numpy.asarray(task.x.numpy()), jax.numpy.asarray(task.g.numpy())

    @jax.jit
    def both(x: Any, g: Any) -> Any:
        y, backward = jax.vjp(lambda x: spyx.run(nnx.merge(definition, state), x)[0], x)
        return y, backward(g.reshape(y.shape))[0]

    return lambda: jax.block_until_ready(both(x, g))


def _training(net: Any, scores: Callable[[Any, Any], Any], x: Any, labels: Any) -> Step:
    import jax
    import optax
    from flax import nnx

    # Its decays begin as weakly typed numbers and end a step as float32: each change would compile the step again.
    nnx.update(net, jax.tree.map(lambda v: jax.numpy.asarray(v, v.dtype), nnx.state(net, nnx.Param)))
    optimiser = nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param)
    given, classes = jax.numpy.asarray(x.numpy()), jax.numpy.asarray(labels.numpy().astype(np.int32))

    def loss(net: Any, x: Any, classes: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(scores(net, x), classes).mean()

    @nnx.jit
    def update(net: Any, optimiser: Any, x: Any, classes: Any) -> Any:
        value, gradients = nnx.value_and_grad(loss)(net, x, classes)
        optimiser.update(net, gradients)
        return value

    return lambda: update(net, optimiser, given, classes).block_until_ready()


def _weights(layer: Any, values: Any) -> Any:
    import jax

    layer.kernel[...] = jax.numpy.asarray(values.numpy())
    return layer


def shd(task: ShdTask, settings: Settings) -> Step:
    """`RLIF` and `LI`, scanned."""
    _use(settings)
    from flax import nnx
    from spyx import axn
    from spyx import nn as spyx

    class Net(nnx.Module):  # type: ignore[misc]
        def __init__(self, rngs: Any) -> None:
            (hidden, inputs), classes = task.w_in.shape, len(task.w_out)
            self.w_in = _weights(nnx.Linear(inputs, hidden, use_bias=False, rngs=rngs), task.w_in.t())
            self.layer = spyx.RLIF((hidden,), beta=task.decay, activation=axn.superspike(10.0), rngs=rngs)
            self.w_out = _weights(nnx.Linear(hidden, classes, use_bias=False, rngs=rngs), task.w_out.t())
            self.integrator = spyx.LI((classes,), beta=task.decay, rngs=rngs)

    def scores(net: Any, x: Any) -> Any:
        z = spyx.run(net.layer, net.w_in(x))[0]
        return spyx.run(net.integrator, net.w_out(z))[0].mean(0)

    return _training(Net(nnx.Rngs(0)), scores, task.x, task.labels)


def conv(task: ConvTask, settings: Settings) -> Step:
    """`LIF` with channels last, convolutions and pooling on all steps at once."""
    _use(settings)
    from flax import nnx
    from spyx import axn
    from spyx import nn as spyx

    size = task.x.shape[3]

    class Net(nnx.Module):  # type: ignore[misc]
        def __init__(self, rngs: Any) -> None:
            convolutions, neurons = [], []
            for k, kernel in enumerate(task.kernels):
                out, into = kernel.shape[:2]
                layer = nnx.Conv(into, out, (3, 3), padding="SAME", use_bias=False, rngs=rngs)
                convolutions.append(_weights(layer, kernel.permute(2, 3, 1, 0)))
                shape = (size >> k, size >> k, out)
                neurons.append(spyx.LIF(shape, beta=task.decay, activation=axn.arctan(2), rngs=rngs))
            self.convolutions, self.neurons = nnx.List(convolutions), nnx.List(neurons)
            self.out = nnx.Linear(task.w_out.shape[1], len(task.w_out), rngs=rngs)

    def scores(net: Any, x: Any) -> Any:
        for convolution, neurons in zip(net.convolutions, net.neurons, strict=True):
            u = convolution(x.reshape(-1, *x.shape[2:]))
            z = spyx.run(neurons, u.reshape(*x.shape[:2], *u.shape[1:]))[0]
            means = nnx.avg_pool(z.reshape(-1, *z.shape[2:]), (2, 2), strides=(2, 2))
            x = means.reshape(*x.shape[:2], *means.shape[1:])
        return net.out(x.reshape(*x.shape[:2], -1)).mean(0)

    return _training(Net(nnx.Rngs(0)), scores, task.x.permute(0, 1, 3, 4, 2), task.labels)
