from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab import events as ev
from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import Events, Recordings
from spikelab.events.identity import fingerprint, said
from spikelab.events.transform import drop_events, drop_pixels
from spikelab.nn.data import Samples


def at(times: list[int]) -> Events:
    return Events.from_columns(t=times, x=[1] * len(times), y=[1] * len(times), shape=(34, 34))


def set_of(seventh: list[int]) -> Recordings:
    parts = [at(seventh if k == 7 else [0, 10, 20, 30]) for k in range(20)]
    return Recordings.of(parts, [0] * 20, ("a",))


@dataclass(frozen=True)
class Cut:
    stop: int
    table: Any = field(default=None, repr=False)

    def run(self, events: Events) -> Events:
        return events.between(0, self.stop)


class Side(Enum):
    LEFT = 1
    RIGHT = 2


class Plain:
    def run(self, events: Events) -> Events:
        return events

    def __repr__(self) -> str:
        return "Plain()"


def test_a_method_is_told_with_its_object(tmp_path: Path) -> None:
    one = Recordings.of([at([1, 2, 3])], [0], ("a",))
    assert [len(ev.cached(one, Cut(stop).run, tmp_path)[0]) for stop in (2, 4)] == [1, 3]
    with pytest.raises(UnsupportedError, match="a dataclass for its options"):
        said(Plain().run)


def test_options_are_told_by_value_to_the_last_byte() -> None:
    long = np.zeros(2000, np.int64)
    other = long.copy()
    other[1000] = 1
    values = [long, other, long.astype(np.int32), long[:, None], 1, 1.0, True, "1", None, Side.LEFT, Side.RIGHT]
    values += [[1], (1,), {"a": long}, {"a": other}, {1}, slice(1), at([1]), at([2]), np.float32(1), Path("1"), Cut]
    texts = {said(partial(drop_pixels, pixels=value)) for value in values}
    texts |= {said(Cut(1, table=table)) for table in (long, other)}
    assert len(texts) == len(values) + 2
    assert said(partial(drop_pixels, pixels=long.copy())) == said(partial(drop_pixels, pixels=long))
    assert not any(" at 0x" in text for text in texts)


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    one = Recordings.of([at([1, 2, 3])], [0], ("a",))
    for work in (partial(drop_events, share=0.5, rng=np.random.default_rng(0)), Cut(1, np.random.default_rng(0)).run):
        with pytest.raises(UnsupportedError, match=r"a random generator; expected .* from a seed"):
            ev.cached(one, work, tmp_path)
        with pytest.raises(UnsupportedError, match="a random generator"):
            Samples(one, work, cache=str(tmp_path))  # type: ignore[arg-type]
    for odd in (object(), np.array([object()]), [lambda: 0], Plain()):
        with pytest.raises(UnsupportedError, match="define it in a module"):
            said(partial(drop_pixels, pixels=odd))
    assert not list(tmp_path.iterdir())


def test_every_recording_in_memory_counts(tmp_path: Path) -> None:
    work = partial(Events.between, start_us=0, stop_us=15)
    for seventh in ([0, 10, 20, 30], [0, 1, 2, 3], list(range(10))):
        whole, index = set_of(seventh), tmp_path / "cuts.h5"
        assert ev.cached(whole, work, tmp_path)[7].equals(whole[7].between(0, 15))
        parts = ev.sliced(whole, count=2, index=index)
        assert all(a.equals(b) for a, b in zip(parts, ev.sliced(whole, count=2), strict=True))
        assert parts.metadata["events"].sum() == sum(map(len, whole))
    assert fingerprint(Recordings.join([set_of([1])] * 2)) == fingerprint(
        Recordings.of(list(set_of([1])) * 2, [0] * 40, ("a",))
    )


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_files_count_by_their_state_and_are_not_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "set"

    def put(third: list[int]) -> Recordings:
        (place / "a").mkdir(parents=True, exist_ok=True)
        for k in range(20):
            if k == 3 or not (place / f"a/{k}.bin").exists():
                ev.write(at(third if k == 3 else [0, 10, 20, 30]), place / f"a/{k}.bin")
        if kind == "folder":
            return ev.read(place)
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for path in sorted(place.rglob("*.bin")):
                archive.write(path, path.relative_to(place))
        return ev.read(tmp_path / "set.zip")

    index = place / "cuts.h5"  # beside the recordings: it is none of them
    first = put([0, 10, 20, 30])
    ev.sliced(first, window="10 us", index=index)
    with monkeypatch.context() as patch:
        patch.setattr("spikelab.events.nmnist_set._one", lambda *_: pytest.fail("a recording was read"))
        again = ev.sliced(first, window="10 us", index=index)
    changed = put([0, 1, 2, 30])
    parts = ev.sliced(changed, window="10 us", index=index)
    assert [len(part) for part in parts] == [len(part) for part in ev.sliced(changed, window="10 us")]
    assert fingerprint(changed) == fingerprint(changed) and len({fingerprint(changed), fingerprint(changed[:5])}) == 2
    put(list(range(10)))
    with pytest.raises(ShapeError, match=r"expected 4, as when it was cut; cut it again"):
        list(parts)
    assert len(again) == 80
