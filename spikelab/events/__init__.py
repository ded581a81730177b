"""Events: recordings of event sensors, their files, and frames made from them. NumPy only.

One file: `read`, `info`. Arrays: `bin_events`, `pool_events`. Labelled sets: `spikelab.dataset(name)` (in `dataset`),
or `Recordings` of any files and `Frames.of(recordings, dt, steps)`. Each format is a module of its own with
`read`, and `write` where that loses nothing: `aedat4`, `nmnist`, `nmnist_set`, `shd`, `packed`.
"""

from spikelab.events.array import EVENT, Events
from spikelab.events.files import detect, info, read
from spikelab.events.frames import Frames
from spikelab.events.recordings import Recordings
from spikelab.events.steps import step_edges, steps_needed
from spikelab.events.transform import bin_events, count_late, pool_events

__all__ = [
    "EVENT",
    "Events",
    "Frames",
    "Recordings",
    "bin_events",
    "count_late",
    "detect",
    "info",
    "pool_events",
    "read",
    "step_edges",
    "steps_needed",
]
