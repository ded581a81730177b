"""`Linear` on [T, B, in]: by the non-zero inputs alone where they are few, by torch's dense product otherwise.

Only plain float32 and float64 tensors on a CPU go by their non-zeros; whatever else torch knows
(compiled and traced graphs, function transforms, forward-mode tangents, autocast, other devices)
takes `torch.nn.functional.linear`, as every dense input does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spikelab.nn.memory import empty
from spikelab.nn.nonzero import NonZero, find
from spikelab.nn.sparse import product, sparse_up_to, weight_gradient

__all__ = ["Linear", "plain"]

_FEWEST = 16_000_000
"""Multiplications of the dense product (about 0.4 ms) below which calls cost more than zeros save."""


@torch.library.custom_op("spikelab::sparse_linear", mutates_args=())
def _sparse_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, bits: Tensor, counts: Tensor, binary: bool
) -> Tensor:
    y = empty((x.shape[0], weight.shape[0]), x.dtype)
    added = np.empty(0, y.numpy().dtype) if bias is None else bias.detach().contiguous().numpy()
    found = NonZero(bits.numpy().view(np.uint64), counts.numpy(), binary, x.shape[1])
    transposed = weight.detach().t().contiguous().numpy()
    product(x.detach().numpy(), found, transposed, added, y.numpy(), torch.get_num_threads())
    return y


@_sparse_linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, bits: Tensor, counts: Tensor, binary: bool) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


@torch.library.custom_op("spikelab::sparse_linear_backward", mutates_args=())
def _sparse_linear_backward(
    g: Tensor, x: Tensor | None, bits: Tensor, counts: Tensor, binary: bool, inputs: int
) -> Tensor:
    found = NonZero(bits.numpy().view(np.uint64), counts.numpy(), binary, inputs)
    rows = g.detach().contiguous().numpy()
    values = rows if x is None else x.detach().numpy()
    return torch.from_numpy(weight_gradient(values, found, rows, torch.get_num_threads())).t().contiguous()


@_sparse_linear_backward.register_fake
def _(g: Tensor, x: Tensor | None, bits: Tensor, counts: Tensor, binary: bool, inputs: int) -> Tensor:
    return g.new_empty((g.shape[1], inputs))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, _, bits, counts, ctx.binary = inputs
    ctx.inputs = x.shape[1]
    # Spikes are not kept: their bits tell everything.
    ctx.save_for_backward(None if ctx.binary else x, weight, bits, counts)


def _backward(ctx: Any, g: Tensor) -> Any:
    x, weight, bits, counts = ctx.saved_tensors
    for_x, for_weight, for_bias, *_ = ctx.needs_input_grad
    gx = g @ weight if for_x else None
    gw = _sparse_linear_backward(g, x, bits, counts, ctx.binary, ctx.inputs) if for_weight else None
    return gx, gw, g.sum(0) if for_bias else None, None, None, None


_sparse_linear.register_autograd(_backward, setup_context=_setup)


def plain(*tensors: Tensor | None) -> bool:
    """Real values on a CPU, and nothing that wants to see torch's own operators."""
    return (
        torch._C._get_tracing_state() is None
        and not torch.is_autocast_enabled("cpu")
        and all(
            type(t) in (Tensor, torch.nn.Parameter)
            and t.device.type == "cpu"
            and t.layout == torch.strided
            and t.dtype in (torch.float32, torch.float64)
            and t.dtype == tensors[0].dtype  # type: ignore[union-attr]
            and not torch._C._functorch.is_functorch_wrapped_tensor(t)
            and torch.autograd.forward_ad.unpack_dual(t).tangent is None
            for t in tensors
            if t is not None
        )
    )


class Linear(torch.nn.Linear):
    """`torch.nn.Linear` on [T, B, in] that skips zero inputs where that is faster.

    Without zeros, a sum adds up in the order of the inputs and the bias comes last: the bits of the float32
    reference (`sl.run`), for any number of threads. The dense product of torch adds in an order of its own. A weight
    that is NaN or infinite does not touch the outputs of inputs that are 0. A second derivative
    through the weight gradient is refused by torch; `sparse=False` has it.

    Args:
        in_features: inputs.
        out_features: outputs.
        bias: add a bias.
        device: of the weights.
        dtype: of the weights.
        sparse: skip zeros: None where `sparse_up_to` says that it is faster; True always, for the reference's
            bits at any size and activity; False never.

    Shape:
        x [..., in] -> [..., out].

    Example:
        >>> from spikelab import nn
        >>> nn.Linear(3, 4, sparse=True)(torch.zeros(5, 1, 3)).shape
        torch.Size([5, 1, 4])
    """

    sparse: bool | None = None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        sparse: bool | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.sparse = sparse

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        most = self._most(input)
        if most <= 0:
            return functional.linear(input, self.weight, self.bias)
        x = input.reshape(-1, input.shape[-1]).contiguous()
        found = find(x.detach().numpy(), most, torch.get_num_threads())
        if found is None:
            return functional.linear(input, self.weight, self.bias)
        bits, counts = torch.from_numpy(found.bits.view(np.uint8)), torch.from_numpy(found.counts)
        y: Tensor = _sparse_linear(x, self.weight, self.bias, bits, counts, found.binary)
        return y.reshape(*input.shape[:-1], y.shape[1])

    def _most(self, x: Tensor) -> float:
        """Share of non-zeros up to which x goes by them; 0 for inputs that are left to torch."""
        if self.sparse is False or not isinstance(x, Tensor) or torch.compiler.is_compiling():
            return 0.0
        outputs, inputs = self.weight.shape
        size = x.numel()
        if size == 0 or x.shape[-1:] != (inputs,) or not (self.sparse or size * outputs >= _FEWEST):
            return 0.0
        most = 1.0 if self.sparse else sparse_up_to(size // inputs, outputs)
        return most if most and plain(x, self.weight, self.bias) else 0.0

    def extra_repr(self) -> str:
        """Sizes, as torch prints them, and `sparse` where it is set."""
        return super().extra_repr() + ("" if self.sparse is None else f", sparse={self.sparse}")
