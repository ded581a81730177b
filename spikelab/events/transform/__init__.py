"""Transforms of recordings: pure functions from `Events` to `Events`, or to arrays. NumPy and Numba only.

Nothing changes its input; what comes out is sorted and within its sensor; no events pass every transform. A transform
that drops events says so, and `len(events)` before and after says how many. Random ones take a generator or a seed.

To arrays: `bin_events` (steps of time), `bin_slices` (`slices_by_count`, `slices_by_time`, `slices_at`), `sparse_bins`,
`binary_frames`, `voxel_grid`, `time_surfaces`, `averaged_surfaces`.
Less: `crop`, `crop_centre`, `crop_random`, `crop_random_time`, `Events.between`, `cut`, `denoise`, `refractory`,
`hot_pixels` and `drop_pixels`, `decimate`, `integrate_events`, `differentiate_events`, `drop_events`, `drop_time`,
`drop_area`, `drop_random_pixels`, `drop_part`.
Other: `pool_events`, `resize`, `flip_x`, `flip_y`, `flip_polarity`, `merge_polarities`, `reverse_time`, `shift_time`,
`skew_time`, `jitter_space`, `jitter_time`. More: `add_noise`, `merge`, `mix`. Now and then: `sometimes`.
"""

from spikelab.events.transform.activity import denoise, refractory
from spikelab.events.transform.binary import binary_frames
from spikelab.events.transform.bins import (
    Late,
    bin_events,
    bin_slices,
    cell_shape,
    count_late,
    locate,
    steps_from,
)
from spikelab.events.transform.chance import Rng, sometimes
from spikelab.events.transform.clock import shift_time, skew_time
from spikelab.events.transform.cropping import crop, crop_centre, crop_random, crop_random_time
from spikelab.events.transform.dropping import drop_area, drop_events, drop_part, drop_random_pixels, drop_time
from spikelab.events.transform.integration import differentiate_events, integrate_events
from spikelab.events.transform.jitter import Border, jitter_space, jitter_time
from spikelab.events.transform.mirrors import flip_polarity, flip_x, flip_y, merge_polarities, reverse_time
from spikelab.events.transform.mixing import add_noise, merge, mix
from spikelab.events.transform.pixels import drop_pixels, hot_pixels
from spikelab.events.transform.resolution import decimate, pool_events, resize
from spikelab.events.transform.slices import Outside, Rest, cut, slices_at, slices_by_count, slices_by_time
from spikelab.events.transform.sparse import SparseBins, sparse_bins
from spikelab.events.transform.surfaces import Decay, averaged_surfaces, time_surfaces
from spikelab.events.transform.voxels import Ends, voxel_grid

__all__ = [
    "Border",
    "Decay",
    "Ends",
    "Late",
    "Outside",
    "Rest",
    "Rng",
    "SparseBins",
    "add_noise",
    "averaged_surfaces",
    "bin_events",
    "bin_slices",
    "binary_frames",
    "cell_shape",
    "count_late",
    "crop",
    "crop_centre",
    "crop_random",
    "crop_random_time",
    "cut",
    "decimate",
    "denoise",
    "differentiate_events",
    "drop_area",
    "drop_events",
    "drop_part",
    "drop_pixels",
    "drop_random_pixels",
    "drop_time",
    "flip_polarity",
    "flip_x",
    "flip_y",
    "hot_pixels",
    "integrate_events",
    "jitter_space",
    "jitter_time",
    "locate",
    "merge",
    "merge_polarities",
    "mix",
    "pool_events",
    "refractory",
    "resize",
    "reverse_time",
    "shift_time",
    "skew_time",
    "slices_at",
    "slices_by_count",
    "slices_by_time",
    "sometimes",
    "sparse_bins",
    "steps_from",
    "time_surfaces",
    "voxel_grid",
]
