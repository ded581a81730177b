"""Data sets by name: finds the files of a card, checks them, and reads them."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from spikelab.errors import FormatError, UnsupportedError, unknown_name
from spikelab.events import nmnist_set, packed, shd
from spikelab.events.frames import Frames
from spikelab.events.published import open_published
from spikelab.events.recordings import Recordings
from spikelab.events.transform import Late
from spikelab.units import Quantity

__all__ = ["Dataset", "dataset"]

_PACKAGE = Path(__file__).resolve().parent.parent
_CARDS = _PACKAGE / "data"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A labelled data set, split into training and test recordings.

    Args:
        name: name of the set; ends in `-mini` for a small part of one that comes with the package.
        card: what `card.toml` says: title, kind, source, licence, citation, sensor, classes, split, checksums.
        folder: where its files were found.
        recordings: all recordings; metadata `"split"` is "train" or "test".

    Example:
        >>> mini = dataset("fsdd-spikes-mini")
        >>> mini.kind
        'real speech, simulated cochlea'
        >>> train, test = mini.frames(dt="5 ms", steps=100, late="drop")
        >>> len(train), len(test), train.shape
        (480, 120, (128,))
    """

    name: str
    card: Mapping[str, Any]
    folder: Path
    recordings: Recordings

    @property
    def kind(self) -> str:
        """What is real and what is simulated."""
        return str(self.card["kind"])

    @property
    def train(self) -> Recordings:
        """Recordings to train on."""
        return self.recordings.select(self.recordings.metadata["split"] == "train")

    @property
    def test(self) -> Recordings:
        """Recordings to test on."""
        return self.recordings.select(self.recordings.metadata["split"] == "test")

    def frames(
        self, dt: Quantity, steps: int | None = None, *, start_us: int = 0, late: Late = "error"
    ) -> tuple[Frames, Frames]:
        """Bin the training and the test recordings; both get the same number of steps.

        Args:
            dt: [s] length of a step, or a string with a unit.
            steps: number of steps T; None takes as many as the longest recording needs.
            start_us: [us] start of step 0.
            late: `"error"` refuses events after the last step; `"drop"` leaves them out: `dropped` of the frames
                says how many.

        Returns:
            Training and test frames.

        Raises:
            ShapeError: a recording is longer than `steps * dt`; the message names the number of steps that is enough.
            UnitError: dt is not a duration above zero.
        """
        frames = self.all_frames(dt, steps, start_us=start_us, late=late)
        split = self.recordings.metadata["split"]
        return frames.subset(split == "train"), frames.subset(split == "test")

    def all_frames(self, dt: Quantity, steps: int | None = None, *, start_us: int = 0, late: Late = "error") -> Frames:
        """Bin all recordings, training before test, e.g. for cross-validation with `folds`. Arguments as `frames`."""
        return Frames.of(self.recordings, dt, steps, start_us=start_us, late=late)

    def __repr__(self) -> str:
        return f"Dataset({self.name}: {self.card['title']}; {len(self.recordings)} recordings in {self.folder})"


def dataset(
    name: str,
    root: str | PathLike[str] | None = None,
    *,
    parts: Sequence[str] | None = None,
    download: bool = False,
) -> Dataset:
    """Find a data set by its name.

    Looked for in `root` alone where it is given; else in the folder that the environment variable SPIKELAB_DATA
    names, in `datasets/` of a checkout, and in the package, which has the small sets whose names end in `-mini`. In
    each folder the complete original files are taken before a bundled form. A file must have the checksum of the card.

    Sets that others publish are found as tonic leaves them, or as archives, which are checked and unpacked once; their
    files are checked when they are fetched or unpacked.

    Args:
        name: `"fsdd-spikes"`, `"nmnist-sim"`, `"fsdd-spikes-mini"`; or a published set: `"asldvs"`, `"cifar10dvs"`,
            `"davisdata"`, `"dsec"`, `"dvsgesture"`, `"dvslip"`, `"ebssa"`, `"mvsec"`, `"ncaltech101"`, `"nerdd"`,
            `"nmnist"`, `"ntidigits18"`, `"pokerdvs"`, `"shd"`, `"smnist"`, `"ssc"`, `"threeet-eyetracking"`,
            `"tumvie"`, `"vpr"`.
        root: folder with the files.
        parts: of a published set: `["test"]`, or recordings such as `["slider_far"]`; None takes all that is there.
        download: fetch what is missing of a published set into `root`, or the folder that SPIKELAB_DATA names.

    Raises:
        UnsupportedError: unknown name or part, or a bundled set that is to be fetched.
        ShapeError: a whole set of long recordings is to be fetched; name its parts.
        FormatError: no files found, with all places that were looked at; one that is damaged; or no mirror has it.

    Example:
        >>> len(dataset("fsdd-spikes-mini").recordings)
        600
    """
    cards = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_CARDS.glob("*.toml"))}
    if name not in cards:
        raise unknown_name("dataset", name, cards)
    card = cards[name]
    if root is not None:
        folders = [Path(root).expanduser()]
    else:
        folders = [Path(os.environ["SPIKELAB_DATA"])] if os.environ.get("SPIKELAB_DATA") else []
        folders += [_PACKAGE.parent / "datasets", _CARDS]
    if "archives" in card:
        if download and root is None and not os.environ.get("SPIKELAB_DATA"):
            raise UnsupportedError(
                f"dataset: found download=True without a folder for {name}; expected one; pass root=, or "
                "set SPIKELAB_DATA"
            )
        recordings, folder = open_published(card, folders, parts, download)
        return Dataset(name, card, folder, recordings)
    if download or parts is not None:
        raise UnsupportedError(
            f"dataset: found parts or download for {name}, which comes with a checkout of spikelab; expected neither; "
            "leave them out"
        )
    forms = [files for files in (card.get("full"), card["files"]) if files]
    for folder in folders:
        for files in forms:
            paths = [_locate(folder, name, file["path"]) for file in files]
            found = [path for path in paths if path is not None]
            if len(found) == len(files):
                read = [_read(path, file, card) for path, file in zip(found, files, strict=True)]
                return Dataset(name, card, found[0].parent, Recordings.join(read))
    expected = " or ".join(" and ".join(file["path"] for file in files) for files in forms)
    small = [
        f"; dataset({other!r}) is a small part of it that comes with the package"
        for other in cards
        if cards[other].get("mini_of") == name
    ]
    raise FormatError(
        folders[0],
        f"found no files of data set {name!r}, looked in {', '.join(map(str, folders))}; expected {expected}; pass "
        "root= or set "
        f"SPIKELAB_DATA to a folder that has them, from a checkout of spikelab or {card['source']}{''.join(small)}",
    )


def _locate(folder: Path, name: str, path: str) -> Path | None:
    """Find a file of a card below a folder."""
    places = [folder / path, folder / "labelled" / path, folder / name / path, folder / Path(path).name]
    return next((place for place in places if place.is_file()), None)


def _read(path: Path, file: Mapping[str, Any], card: Mapping[str, Any]) -> Recordings:
    """Read one file of a card, after its checksum."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != file["sha256"]:
        raise FormatError(
            path,
            f"found checksum {found[:16]}...; expected {file['sha256'][:16]}..., as in the card of {card['name']}; "
            "copy the file again",
        )
    shape = tuple(card["sensor"]["shape"])
    if file["format"] == "shd":
        recordings = shd.read(path, channels=shape[0])
    elif file["format"] == "nmnist-zip":
        recordings = nmnist_set.read(path, shape)
    else:
        recordings = packed.read(path)
    if (recordings.shape, list(recordings.classes)) != (shape, card["classes"]):
        raise FormatError(
            path,
            f"found {recordings}; expected the sensor and the classes in the card of {card['name']}; copy the file "
            "again",
        )
    split = (
        np.char.lower(recordings.metadata["split"].astype(str))
        if "split" in recordings.metadata
        else np.full(len(recordings), file["split"])
    )
    return replace(recordings, metadata={**recordings.metadata, "split": split})
