"""The clocked driver and its float32 reference, and what a run gives."""

from spikelab.clocked.driver import Float32, population_count, run
from spikelab.clocked.inputs import as_inputs
from spikelab.clocked.linear_map import LinearMap
from spikelab.clocked.live import run_live
from spikelab.clocked.result import Run, RunState, begin, type_cast

__all__ = [
    "Float32",
    "LinearMap",
    "Run",
    "RunState",
    "as_inputs",
    "begin",
    "population_count",
    "run",
    "run_live",
    "type_cast",
]
