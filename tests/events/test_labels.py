from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from spikelab.events import Events, Recordings
from spikelab.events.hdf5 import open_hdf5
from spikelab.events.labels import read_labels, write_labels


def test_labels_names_and_metadata_come_back(tmp_path: Path) -> None:
    one = Events.from_columns([0], [0], shape=(4,))
    metadata = {"speaker": np.array([7, 8], np.uint16), "split": np.array(["train", "test"])}
    recordings = Recordings.of([one, one], [1, 0], ("zéro", "one"), metadata)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_labels(file, recordings)
        file["extra/other"] = np.arange(5)  # not one value per recording
    with open_hdf5(tmp_path / "a.h5") as file:
        labels, classes, found = read_labels(file, 2)
    assert (labels.tolist(), classes) == ([1, 0], ("zéro", "one"))
    assert {name: values.tolist() for name, values in found.items()} == {"speaker": [7, 8], "split": ["train", "test"]}
