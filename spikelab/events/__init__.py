"""Events: recordings of event sensors, their files, and frames made from them. NumPy and Numba only.

One file: `read`, `stream`, `extras`, `info`, `write`, in each format of `FORMATS`, a module each. As they come: `Live`,
`Receiver`. `transform`: `bin_events`, `pool_events` and 40 more, from events to events or arrays. Labelled sets:
`spikelab.dataset(name)` (in `dataset`), or `Recordings` of any files (`nmnist_set`, `shd`, `packed`) and
`Frames.of(recordings, dt, steps)`; cut by `sliced`, kept on disk by `cached`; `to_tonic`, `from_tonic`, `InCompose`.
"""

from spikelab.events.array import EVENT, Events
from spikelab.events.as_tonic import InCompose, from_tonic, to_tonic
from spikelab.events.cache import cached
from spikelab.events.faults import Errors
from spikelab.events.files import FORMATS, detect, extras, read, stream, write
from spikelab.events.frames import Frames
from spikelab.events.live import Live, replay
from spikelab.events.recordings import Recordings
from spikelab.events.slicing import cuts, sliced
from spikelab.events.source import IMU, TRIGGER, Extras
from spikelab.events.steps import step_edges, steps_needed
from spikelab.events.summary import info
from spikelab.events.transform import bin_events, count_late, pool_events
from spikelab.events.udp import Receiver, datagrams

__all__ = [
    "EVENT",
    "FORMATS",
    "IMU",
    "TRIGGER",
    "Errors",
    "Events",
    "Extras",
    "Frames",
    "InCompose",
    "Live",
    "Receiver",
    "Recordings",
    "bin_events",
    "cached",
    "count_late",
    "cuts",
    "datagrams",
    "detect",
    "extras",
    "from_tonic",
    "info",
    "pool_events",
    "read",
    "replay",
    "sliced",
    "step_edges",
    "steps_needed",
    "stream",
    "to_tonic",
    "write",
]
