"""Sets that others publish: their archives are found, fetched where that is asked for, checked, unpacked and read.

A card names its archives: `path` within the set's folder, `part`, `split`, `layout`, `checksum` (MD5 or SHA-256, empty
where none is published), `urls`, `holds` (what to read, within the set's folder), `inside` (the same within the
archive, where it differs), `marks` (a pattern by which the folder itself is known), and `each`, a table from names to
checksums that stands for one archive each, with `{}` for the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikelab.errors import FormatError, ShapeError, unknown_name
from spikelab.events.download import download, verify
from spikelab.events.layouts import LAYOUTS
from spikelab.events.recordings import Recordings
from spikelab.events.unpack import ARCHIVES, unpack

__all__ = ["archives", "open_published"]

Card = Mapping[str, Any]


def archives(card: Card) -> list[dict[str, Any]]:
    """The archives of a card, `each` spelled out."""
    found = []
    for one in card["archives"]:
        plain = {"holds": "", "urls": [], "checksum": "", "layout": "", "split": "none", **one}
        plain |= {"inside": one.get("inside", plain["holds"]), "folder": card["folder"]}
        plain.pop("each", None)
        for name, checksum in one.get("each", {"": one.get("checksum", "")}).items():
            texts = {k: v.replace("{}", name) for k, v in plain.items() if isinstance(v, str)}
            urls = [url.replace("{}", name) for url in plain["urls"]]
            found.append(plain | texts | {"urls": urls, "checksum": checksum} | ({"part": name} if name else {}))
    return found


def open_published(
    card: Card, folders: Sequence[Path], parts: Sequence[str] | None, fetch: bool
) -> tuple[Recordings, Path]:
    """Read a set, or some parts of it.

    Args:
        card: of the set.
        folders: where to look, in turn; what is fetched goes into the first.
        parts: names of parts; None takes all of a set with training and test parts, else those that are there.
        fetch: whether to download what is missing.

    Returns:
        Recordings with metadata `"split"` and `"part"`, and the folder of the set.

    Raises:
        UnsupportedError: an unknown part.
        ShapeError: to fetch all of a set that has a part for each recording.
        FormatError: missing, damaged, or not to be had; it says what to do.
    """
    known = archives(card)
    names = list(dict.fromkeys(one["part"] for one in known))
    for part in [parts] if isinstance(parts, str) else parts or ():
        if part not in names:
            raise unknown_name(f"part of {card['name']}", part, names)
    single = any("each" in one for one in card["archives"])
    if fetch and parts is None and single:
        raise ShapeError(
            f"dataset: found no parts of {card['name']} to fetch; expected some; pass parts=[{names[0]!r}]"
        )
    wanted = [one for one in known if parts is None or one["part"] in parts]
    bases = [base for folder in folders for base in (folder / card["folder"], folder / card["name"], folder)]
    if fetch:
        base = next((base for base in bases if all(_place(base, one) for one in wanted)), bases[0])
        for one in wanted:
            if not _place(base, one):
                _fetch(base, one, card)
    for base in bases:
        there = [one for one in wanted if _place(base, one)]
        if single and parts is None:
            chosen = {one["part"] for one in there}
            there = [one for one in there if all(o in there for o in wanted if o["part"] == one["part"])]
            if not there and chosen:
                continue
        elif len(there) != len(wanted):
            continue
        if there:
            places = [_ready(base, one) for one in there]  # all first: some layouts look into others' folders
            read = [_read(place, one, card) for place, one in zip(places, there, strict=True) if one["layout"]]
            return Recordings.join(read), base
    missing = ", ".join(one["path"] for one in wanted[:4]) + (f" and {len(wanted) - 4} more" if len(wanted) > 4 else "")
    raise FormatError(
        bases[0],
        f"found no files of data set {card['name']!r}, looked in {', '.join(map(str, folders))}; expected {missing}; "
        f"{_advice(card)}",
    )


def _advice(card: Card) -> str:
    manual = card.get("manual", "")
    return manual or f"pass root= and download=True, or fetch them from {card['source']}"


def _place(base: Path, archive: Card) -> Path | None:
    """What to read, or the archive that it is in; None where there is neither."""
    path = base / archive["path"]
    unpacked = path.with_name(path.name + ".unpacked")
    held = archive["holds"]
    known = not held and base.name == archive["folder"] and any(base.glob(archive["marks"]))
    places = [base / held] if held else [base] if known else []
    return next((p for p in [*places, unpacked / archive["inside"], path] if p.exists()), None)


def _fetch(base: Path, archive: Card, card: Card) -> None:
    if not archive["urls"]:
        raise FormatError(base / archive["path"], f"cannot be fetched by a program; {_advice(card)}")
    download(archive["urls"], base / archive["path"], archive["checksum"])


def _ready(base: Path, archive: Card) -> Path:
    """What to read of an archive; unpacked where it is not yet."""
    place = _place(base, archive)
    assert place is not None
    packed = base / archive["path"]
    if place == packed and packed.is_file() and packed.name.lower().endswith(ARCHIVES):
        return _unpacked(packed, archive)
    return place


def _read(place: Path, archive: Card, card: Card) -> Recordings:
    found = LAYOUTS[archive["layout"]](place, card)
    named = {name: np.full(len(found), archive[name]) for name in ("split", "part")}
    return replace(found, metadata={**found.metadata, **named})


def _unpacked(packed: Path, archive: Card) -> Path:
    folder = packed.with_name(packed.name + ".unpacked")
    verify(packed, archive["checksum"])
    try:
        unpack(packed, folder)
    except FormatError:
        if not folder.exists():  # else another process was faster
            raise
    place: Path = folder / archive["inside"]
    if not place.exists():
        raise FormatError(packed, f"found no {archive['inside']} in it; expected the card's archive; fetch it again")
    return place
