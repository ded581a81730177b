"""Ops: maps without state, as data. One list for training, simulators, chips and files."""

from spikelab.ops.conv import AvgPool2d, Conv2d, SumPool2d
from spikelab.ops.linear import Linear, Scale, Sparse
from spikelab.ops.op import CSR, Op, OpCount
from spikelab.ops.wiring import Flatten

__all__ = ["CSR", "AvgPool2d", "Conv2d", "Flatten", "Linear", "Op", "OpCount", "Scale", "Sparse", "SumPool2d"]
