"""How the files of published sets lie in their folders: one function for each layout, from a place to recordings.

The layouts are those that tonic 1.7 expects, so that what it has unpacked is read where it lies. Times that run
backwards are put in order (stably); coordinates outside the sensor are an error. Rows are as the files have
them (see `files.read`); only those of ASL-DVS, counted from the bottom, are turned, as tonic turns them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events import nmnist_set, rosbag1, shd, threshold_code
from spikelab.events.array import Events
from spikelab.events.matlab_variables import read_variables
from spikelab.events.recordings import Recordings

__all__ = ["LAYOUTS", "Layout"]

Card = Mapping[str, Any]
Layout = Callable[[Path, Card], Recordings]
"""Recordings of one part of a set: `layout(place, card)`."""
UNLABELLED: Final = ("unlabelled",)


class _Item(NamedTuple):
    """A recording: how it is read, the name of its class, and its metadata."""

    read: Callable[[], Events]
    label: str = UNLABELLED[0]
    metadata: Mapping[str, Any] = {}


def _gather(place: Path, card: Card, items: Sequence[_Item]) -> Recordings:
    if not items:
        raise FormatError(place, f"found no recordings of {card['name']}; expected some; unpack its archive again")
    classes = tuple(card["classes"]) or tuple(sorted({item.label for item in items}))
    unknown = sorted({item.label for item in items} - set(classes))
    if unknown:
        raise FormatError(place, f"found classes {', '.join(unknown)}; expected those of the card of {card['name']}")
    return Recordings(
        partial(_open, tuple(item.read for item in items)),
        np.array([classes.index(item.label) for item in items]),
        tuple(card["sensor"]["shape"]),
        classes,
        {name: np.array([item.metadata[name] for item in items]) for name in items[0].metadata},
    )


@contextmanager
def _open(reads: Sequence[Callable[[], Events]]) -> Iterator[Callable[[int], Events]]:
    yield lambda k: reads[k]()


def _events(path: Path, t: Any, x: Any, y: Any, p: Any, shape: tuple[int, ...]) -> Events:
    columns = []
    for name, column in zip("txyp", (t, x, y, p), strict=True):
        if column is not None:
            column = np.asarray(column).reshape(-1)
            if column.dtype.kind == "f":
                whole = np.isfinite(column) & (np.abs(column) < 2.0**62)
                whole &= column == np.rint(np.where(whole, column, 0))
                if not whole.all():
                    raise FormatError(path, f"found {name} = {column[np.argmin(whole)]}; expected whole numbers")
                column = column.astype(np.int64)
        columns.append(column)
    try:
        order = (
            np.argsort(columns[0], kind="stable") if (np.diff(columns[0].astype(np.int64)) < 0).any() else slice(None)
        )
        t, x, y, p = (None if column is None else column[order] for column in columns)
        return Events.from_columns(t, x, y, p, shape=shape)
    except (ShapeError, IndexError) as error:
        raise FormatError(path, f"holds events that are none ({error}); copy it again") from error


def _npy(path: Path, columns: Sequence[str] = ()) -> Mapping[str, Any]:
    """Columns of a structured array, or of [E, 4] with these names."""
    try:
        found = np.load(path, allow_pickle=False)
        found = found["data"] if path.suffix == ".npz" else found
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise FormatError(path, f"cannot be read ({error}); expected an array of NumPy; copy it again") from error
    if columns and (found.ndim != 2 or found.shape[1] != len(columns)):
        raise FormatError(path, f"found an array of shape {found.shape}; expected [E, {len(columns)}]; copy it again")
    missing = [] if columns else [name for name in "txyp" if name not in (found.dtype.names or ())]
    if missing:
        raise FormatError(path, f"found no fields {', '.join(missing)} in {found.dtype}; expected t, x, y, p")
    return {name: found[:, k] for k, name in enumerate(columns)} if columns else found


def _from_npy(path: Path, columns: Sequence[str], shape: tuple[int, ...], unit_us: int = 1) -> Events:
    found = _npy(path, columns)
    return _events(path, found["t"] * unit_us, found["x"], found["y"], found["p"], shape)


def _from_mat(path: Path, shape: tuple[int, ...]) -> Events:
    found = read_variables(path)
    missing = {"ts", "x", "y", "pol"} - set(found)
    if missing:
        raise FormatError(path, f"found no {', '.join(sorted(missing))}; expected ts, x, y, pol, as in ASL-DVS")
    # Rows are counted from the bottom (tonic.datasets.asl_dvs), so they are turned.
    return _events(path, found["ts"], found["x"], shape[1] - 1 - found["y"].astype(np.int64), found["pol"], shape)


def _from_aedat4(path: Path, shape: tuple[int, ...]) -> Events:
    from spikelab.events import files

    found = files.read(path, format="aedat4", shape=shape)
    assert isinstance(found, Events)
    return found


def _h5(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Arrays of an HDF5 file with any filter that hdf5plugin has; those that are there."""
    import h5py
    import hdf5plugin  # noqa: F401  registers its filters

    try:
        with h5py.File(path, "r") as file:
            return {name: file[name][()] for name in names if name in file}
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise FormatError(
            path, f"cannot be read as HDF5 ({error}); expected {', '.join(names)}; copy it again"
        ) from error


def _from_h5(path: Path, group: str, shape: tuple[int, ...]) -> Events:
    found = _h5(path, [*(f"{group}/{name}" for name in "txyp"), "t_offset"])
    if len(found) < 4 or any(f"{group}/{name}" not in found for name in "txyp"):
        raise FormatError(path, f"found {', '.join(found) or 'nothing'}; expected {group}/t, x, y and p; copy it again")
    t, x, y, p = (found[f"{group}/{name}"] for name in "txyp")
    return _events(path, t.astype(np.int64) + int(found.get("t_offset", 0)), x, y, p, shape)


def _eye(path: Path, shape: tuple[int, ...]) -> Events:
    found = _h5(path, ["events"]).get("events")
    if found is None or found.ndim != 2 or found.shape[1] != 4:
        raise FormatError(path, "found no events [E, 4]; expected them; copy it again")
    return _events(path, found[:, 0], found[:, 1], found[:, 2], found[:, 3], shape)


def _space(path: Path, key: str, shape: tuple[int, ...]) -> Events:
    found = _h5(path, [f"{key}/TD/{name}" for name in ("ts", "x", "y", "p")])
    if len(found) < 4:
        raise FormatError(path, f"found {', '.join(found) or 'nothing'} in {key}; expected TD/ts, x, y and p")
    t, x, y, p = (column.reshape(-1).astype(np.int64) for column in found.values())
    return _events(path, t - (t.min() if len(t) else 0), x - 1, y - 1, p > 0, shape)  # MATLAB counts from 1


def _digits(path: Path, part: str, key: str, shape: tuple[int, ...]) -> Events:
    found = _h5(path, [f"{part}_timestamps/{key}", f"{part}_addresses/{key}"])
    if len(found) < 2:
        raise FormatError(path, f"found {', '.join(found) or 'nothing'} of {key}; expected timestamps and addresses")
    t, x = found.values()
    return _events(path, np.rint(t.astype(np.float64) * 1e6), x, None, None, shape)


def _classes(place: Path, suffix: str) -> Iterator[Path]:
    yield from (path for path in sorted(place.rglob(f"*{suffix}")) if not path.name.startswith("."))


def _by_folder(read: Callable[..., Events], suffix: str, place: Path, card: Card) -> Recordings:
    """`<class>/<any name><suffix>`."""
    shape = tuple(card["sensor"]["shape"])
    return _gather(
        place,
        card,
        [_Item(partial(read, p, shape=shape), p.parent.name, {"name": p.stem}) for p in _classes(place, suffix)],
    )


def _gesture(place: Path, card: Card) -> Recordings:
    """`user<number>_<lighting>/<class number>.npy`, [E, 4] of x, y, p, t in ms."""
    items = []
    for path in _classes(place, ".npy"):
        user, _, lighting = path.parent.name.partition("_")
        if not (path.stem.isascii() and path.stem.isdigit() and int(path.stem) < len(card["classes"])):
            raise FormatError(path, f"found the name {path.name}; expected the number of a class; unpack it again")
        read = partial(_from_npy, path, "xypt", tuple(card["sensor"]["shape"]), 1000)
        items.append(
            _Item(read, card["classes"][int(path.stem)], {"user": user.removeprefix("user"), "lighting": lighting})
        )
    return _gather(place, card, items)


def _spikes(place: Path, card: Card) -> Recordings:
    found = shd.read(place, card["sensor"]["shape"][0])
    return found if not card["classes"] else _named(found, place, card)


def _saccades(place: Path, card: Card) -> Recordings:
    width, height = card["sensor"]["shape"]
    found = nmnist_set.read(place, (width, height))
    return found if not card["classes"] else _named(found, place, card)


def _named(found: Recordings, place: Path, card: Card) -> Recordings:
    """The same recordings with the classes of the card, which may be more than these files have."""
    unknown = sorted(set(found.classes) - set(card["classes"]))
    if unknown:
        raise FormatError(place, f"found classes {', '.join(unknown)}; expected those of the card of {card['name']}")
    number = np.array([card["classes"].index(name) for name in found.classes])
    return Recordings(found.open, number[found.labels], found.shape, tuple(card["classes"]), found.metadata)


def _spoken(part: str, place: Path, card: Card) -> Recordings:
    """`<part>_timestamps/<name>` and `<part>_addresses/<name>`; the digits stand at the end of the name."""
    import h5py

    shape = tuple(card["sensor"]["shape"])
    try:
        with h5py.File(place, "r") as file:
            names = sorted(file[f"{part}_addresses"])
    except (OSError, KeyError) as error:
        raise FormatError(place, f"cannot be read ({error}); expected N-TIDIGITS18; copy it again") from error
    items = []
    for name in names:
        digits = name.split("-")[-1]
        items.append(
            _Item(
                partial(_digits, place, part, name, shape),
                digits if len(digits) == 1 else "several",
                {"digits": digits, "name": name},
            )
        )
    return _gather(place, card, items)


def _satellites(place: Path, card: Card) -> Recordings:
    import h5py

    try:
        with h5py.File(place, "r") as file:
            names = sorted(file)
    except OSError as error:
        raise FormatError(place, f"cannot be read ({error}); expected EBSSA; copy it again") from error
    shape = tuple(card["sensor"]["shape"])
    return _gather(place, card, [_Item(partial(_space, place, name, shape), metadata={"name": name}) for name in names])


def _eyes(listed: str, place: Path, card: Card) -> Recordings:
    """`data/<name>.h5` and `labels/<name>.txt` for each name in a list."""
    try:
        names = (place / listed).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise FormatError(place / listed, f"cannot be read ({error}); expected names, one a line") from error
    shape = tuple(card["sensor"]["shape"])
    items = [
        _Item(
            partial(_eye, place / "data" / f"{name}.h5", shape),
            metadata={"name": name, "target": str(place / "labels" / f"{name}.txt")},
        )
        for name in names
    ]
    return _gather(place, card, items)


def _drones(place: Path, card: Card) -> Recordings:
    """`<archive>/<scene>/Event/output_events.npz`, `data` [E, 4] of x, y, p, t."""
    shape = tuple(card["sensor"]["shape"])
    items = []
    for path in sorted(place.glob("*/*/Event/output_events.npz")):
        scene = path.parent.parent
        items.append(
            _Item(
                partial(_from_npy, path, "xypt", shape),
                metadata={"name": f"{scene.parent.name}/{scene.name}", "target": str(scene / "ev_rgb_coordinates.txt")},
            )
        )
    return _gather(place, card, items)


def _bag(topics: Mapping[str, str], place: Path, card: Card) -> Recordings:
    return _gather(
        place,
        card,
        [
            _Item(partial(rosbag1.read, place, topic), metadata={"name": place.stem, "camera": camera})
            for camera, topic in topics.items()
        ],
    )


def _single(place: Path, card: Card) -> Recordings:
    """One HDF5 file of events/{t, x, y, p}; the camera's side stands in its path."""
    path = place if place.is_file() else place / "events.h5"
    camera = "right" if "events_right" in str(place) else "left"
    shape = tuple(card["sensor"]["shape"])
    return _gather(
        place,
        card,
        [_Item(partial(_from_h5, path, "events", shape), metadata={"camera": camera})],
    )


LAYOUTS: Final[dict[str, Layout]] = {
    "asl": partial(_by_folder, _from_mat, ".mat"),
    "bag": partial(_bag, {"one": "/dvs/events"}),
    "cards": partial(_by_folder, partial(_from_npy, columns="txyp"), ".npy"),
    "cifar": partial(_by_folder, _from_aedat4, ".aedat4"),
    "drones": _drones,
    "eyes-train": partial(_eyes, "train_files.txt"),
    "eyes-val": partial(_eyes, "val_files.txt"),
    "gesture": _gesture,
    "lips": partial(_by_folder, partial(_from_npy, columns=()), ".npy"),
    "saccades": _saccades,
    "satellites": _satellites,
    "single": _single,
    "spikes": _spikes,
    "spoken-test": partial(_spoken, "test"),
    "spoken-train": partial(_spoken, "train"),
    "stereo-bag": partial(_bag, {"left": "/davis/left/events", "right": "/davis/right/events"}),
    "thresholds": threshold_code.read,
}
"""By the name that cards use."""
