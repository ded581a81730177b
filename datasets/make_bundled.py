"""Make the bundled files of `datasets/` and of the package from the full sets, and put their checksums into the cards.

    python datasets/make_bundled.py [../shared/data]

Run it in the checkout. The bytes depend on the versions of HDF5 and zlib, the events do not.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikelab.events import Events, Recordings, nmnist_set, packed, shd

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "spikelab" / "data"
NMNIST_TICK_US = 100
MINI_INDICES = range(3, 13)


def fsdd_spikes(source: Path) -> Recordings:
    """All recordings, training before test."""
    folder = source / "labelled" / "fsdd_spikes"
    return join([shd.read(folder / f"fsdd_spikes_{split}.h5", channels=128) for split in ("train", "test")])


def fsdd_spikes_mini(source: Path) -> Recordings:
    """Ten recordings of each speaker and digit."""
    recordings = fsdd_spikes(source)
    return recordings.select(np.isin(recordings.metadata["index"], MINI_INDICES))


def nmnist_sim(source: Path) -> Recordings:
    """All recordings, times floored to the tick."""
    folder = source / "labelled" / "nmnist_sim"
    full = join([nmnist_set.read(folder / f"nmnist_sim_{split}.zip") for split in ("train", "test")])
    return Recordings.of(
        [floor_times(events, NMNIST_TICK_US) for events in full], full.labels, full.classes, full.metadata
    )


def floor_times(events: Events, tick_us: int) -> Events:
    array = events.array.copy()
    array["t"] -= array["t"] % tick_us
    return Events(array, events.shape)


def join(parts: list[Recordings]) -> Recordings:
    named = [
        replace(part, metadata={**part.metadata, "split": np.full(len(part), split)})
        for part, split in zip(parts, ("train", "test"), strict=True)
    ]
    return Recordings.join(named)


# name: (what it holds, its file, [us] its tick, its card)
BUNDLED = {
    "fsdd-spikes": (fsdd_spikes, HERE / "fsdd-spikes/fsdd-spikes.h5", 125, HERE / "fsdd-spikes/card.toml"),
    "nmnist-sim": (nmnist_sim, HERE / "nmnist-sim/nmnist-sim.h5", NMNIST_TICK_US, HERE / "nmnist-sim/card.toml"),
    "fsdd-spikes-mini": (fsdd_spikes_mini, PACKAGE / "fsdd-spikes-mini.h5", 125, PACKAGE / "fsdd-spikes-mini.toml"),
}


def main(source: Path) -> None:
    for name, (make, path, tick_us, card) in BUNDLED.items():
        packed.write(make(source), path, tick_us)
        data = path.read_bytes()
        text = re.sub(
            r"^bytes = \d+\nsha256 = .*$",
            f'bytes = {len(data)}\nsha256 = "{hashlib.sha256(data).hexdigest()}"',
            card.read_text(),
            count=1,
            flags=re.M,
        )
        card.write_text(text)
        if card.parent != PACKAGE:
            shutil.copyfile(card, PACKAGE / f"{name}.toml")
        print(f"{path.relative_to(HERE.parent)}: {len(data):,} bytes")
    recordings = tomllib.loads((HERE / "recordings/card.toml").read_text())
    for file in recordings["files"]:
        shutil.copyfile(source / file["original"], HERE / "recordings" / file["path"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "shared" / "data")
