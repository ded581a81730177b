"""`Projection`: what leads from one population to a port of another, through ops, with a delay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikelab.arrays import short_repr, to_array
from spikelab.errors import ShapeError, UnsupportedError, brief
from spikelab.ops import Linear, Op, Sparse

__all__ = ["Projection"]

_MOST_STEPS = 1_000_000


@dataclass(frozen=True, eq=False)
class Projection:
    """Spikes of `pre` go through ops, in turn, to a port of `post`.

    Args:
        pre: name of the population it starts from.
        post: name of the population it feeds.
        ops: maps applied in turn.
        port: input of the post model.
        delay: steps; one number, or per synapse if the only op is `Linear` ([out, in]) or `Sparse` ([S]).

    Raises:
        UnsupportedError: a name that is no text, something else than ops, a delay that is not whole steps
            from zero, or one per synapse with other ops.
        ShapeError: a delay array of the wrong shape.
    """

    pre: str
    post: str
    ops: tuple[Op, ...] = ()
    port: str = "x"
    delay: Any = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for what in ("pre", "post", "port"):
            if not isinstance(found := getattr(self, what), str):
                raise UnsupportedError(
                    f"Projection.{what}: found {found!r} of type {type(found).__name__}; expected a name, as in 'x'"
                )
        ops: Any = tuple(self.ops) if isinstance(self.ops, tuple | list) else (self.ops,)
        for op in ops:
            if not isinstance(op, Op):
                raise UnsupportedError(
                    f"projection {self.pre}->{self.post}: found {type(op).__name__} among ops; "
                    "expected ops of spikelab.ops, as in Linear(weight)"
                )
        object.__setattr__(self, "ops", ops)
        where = f"projection {self.pre}->{self.post}: delay"
        if isinstance(self.delay, str):
            raise UnsupportedError(
                f"{where}: found {self.delay!r}; expected whole steps; divide by the dt of the network, as in delay=2"
            )
        try:
            delay = to_array(self.delay, where)
        except ShapeError as error:
            raise UnsupportedError(str(error)) from None
        if delay.dtype.kind not in "iu":
            raise UnsupportedError(f"{where}: found {delay.dtype}; expected whole steps, as in delay=2")
        if delay.size == 0 or delay.min() < 0 or delay.max() > _MOST_STEPS:
            raise UnsupportedError(f"{where} of {brief(self.delay)} steps; expected 0 to {_MOST_STEPS}")
        if delay.ndim == 0:
            object.__setattr__(self, "delay", int(delay))
            return
        if len(ops) != 1 or not isinstance(ops[0], Linear | Sparse):
            raise UnsupportedError(
                f"{where} per synapse with ops {[o.kind for o in ops]}; it needs Linear or Sparse as only op"
            )
        delay = delay.astype(np.int32)
        expected = ops[0].weight.shape
        if delay.shape != expected:
            raise ShapeError(f"{where} of shape {delay.shape}; expected {expected}, as the weights")
        if isinstance(ops[0], Sparse):
            delay = delay[ops[0].order]  # type: ignore[attr-defined]
            object.__setattr__(self, "ops", (replace(ops[0]),))
        delay.setflags(write=False)
        object.__setattr__(self, "delay", delay)

    @property
    def longest(self) -> int:
        """Largest delay in steps."""
        return int(np.max(self.delay))

    def parts(self) -> list[tuple[int, tuple[Op, ...]]]:
        """(delay, ops) of each single delay, longest first; biases go with the last part.

        Longest first is the order in which a simulator that sends spikes at once adds them up.
        """
        if isinstance(self.delay, int):
            return [(self.delay, self.ops)]
        op: Any = self.ops[0]
        steps = sorted(np.unique(self.delay).tolist(), reverse=True)
        result: list[tuple[int, tuple[Op, ...]]] = []
        for d in steps:
            bias = op.bias if d == steps[-1] else None
            mask = self.delay == d
            if isinstance(op, Linear):
                target, source = (k.astype(np.int32) for k in np.nonzero(mask))
                part = Sparse(source, target, op.weight[mask], op.weight.shape, bias)
            else:
                part = Sparse(op.source[mask], op.target[mask], op.weight[mask], op.shape, bias)
            result.append((d, (part,)))
        return result
