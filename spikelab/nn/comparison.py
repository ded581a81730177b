"""Compare a trained module with the `Network` made from it, spike by spike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.agreement import Agreement, agreement
from spikelab.clocked import as_inputs
from spikelab.errors import UnsupportedError
from spikelab.network import Network, must_be_network
from spikelab.nn.layers import evaluating
from spikelab.nn.neuron import check_dt
from spikelab.nn.tracing import named_layers

__all__ = ["Agreement", "compare", "layer_spikes"]


def layer_spikes(module: torch.nn.Module, net: Network, x: Tensor) -> dict[str, Tensor]:
    """Outputs of every neuron layer of a module, named as the populations of its network.

    Args:
        module: the module.
        net: what `to_network` made of it.
        x: [T, B, *shape] input.

    Returns:
        Per population [T, B, *shape].
    """
    seen: dict[str, Tensor] = {}
    handles = []
    with evaluating(module), torch.no_grad():
        for name, layer in named_layers(module, net):

            def keep(_: Any, __: Any, output: Any, name: str = name) -> None:
                seen[name] = output[0].detach()

            handles.append(layer.register_forward_hook(keep))
        try:
            module(x)
        finally:
            for handle in handles:
                handle.remove()
    return seen


def compare(module: torch.nn.Module, net: Network, x: Any) -> Agreement:
    """Spikes of a torch module (in eval mode) against the float32 reference of its network.

    Args:
        module: the trained module.
        net: what `to_network` made of it.
        x: [T, B, *shape] sample input: array, tensor or `Events`.

    Returns:
        Differing spikes, the first difference of each sample with its distance to the threshold, and
        differing predictions.

    Raises:
        UnitError: module and network have another dt.
        ShapeError: the input does not fit the network.
        UnsupportedError: something else than a module and a network, or a module without neuron layers.

    Example:
        >>> from spikelab import nn
        >>> module = nn.Sequential(nn.Linear(3, 2), nn.LIF(dt="1 ms"))
        >>> net = nn.to_network(module, 3)
        >>> compare(module, net, torch.ones(10, 1, 3)).differing
        0
    """
    must_be_network(net, "compare")
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedError(f"compare: found {type(module).__name__} as module; expected a torch module")
    check_dt(module, net.dt, "compare: network")
    (array,) = as_inputs(net, x).values()
    spikes = layer_spikes(module, net, torch.tensor(array, dtype=torch.float32))
    if not spikes:
        raise UnsupportedError(
            "compare: found no neuron layer in the module, so no spikes to compare; expected one; add nn.LIF(), say"
        )
    return agreement(net, array, spikes)
