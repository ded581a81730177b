"""The kernels of EVT2, EVT2.1, EVT3 and DAT against slow decoders written from the descriptions of the formats."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab.errors import FormatError
from spikelab.events import Events, extras, read

SENSOR = (100, 60)
Found = tuple[str, tuple[int, int, int, int]]
"""("event", (t, x, y, p)), ("trigger", (t, id, 0, value)), ("lost", ...)."""


class WrongWordError(Exception):
    """A word that cannot be."""


class Clock:
    """High part of the time."""

    def __init__(self, bits: int, least_fall: int) -> None:
        self.bits, self.least_fall, self.loops, self.now = bits, least_fall, 0, -1

    def set(self, new: int) -> None:
        if self.now >= 0 and self.now - new >= self.least_fall:
            self.loops += 1
        self.now = new

    def time(self, low: int, low_bits: int) -> int:
        return ((self.loops << self.bits) + self.now << low_bits) + low


def evt2(word: int, s: dict[str, Any]) -> Iterator[Found]:
    clock = s.setdefault("clock", Clock(28, 2**27 + 1))
    kind, low = word >> 28, word >> 22 & 63
    if kind == 8:
        clock.set(word % 2**28)
    elif kind in (0, 1):
        event = (clock.time(low, 6), word >> 11 & 2047, word & 2047, kind)
        yield ("event" if clock.now >= 0 else "lost", event)
    elif kind == 10:
        if clock.now >= 0:
            yield "trigger", (clock.time(low, 6), word >> 8 & 31, 0, word & 1)
    elif kind not in (13, 14, 15):
        raise WrongWordError


def evt21(word: int, s: dict[str, Any]) -> Iterator[Found]:
    upper, mask = word >> 32, word % 2**32
    if upper >> 28 == 13:
        raise WrongWordError
    if upper >> 28 > 1:
        yield from evt2(upper, s)
        return
    for bit in range(32):
        if mask >> bit & 1:
            for kind, (t, x, y, p) in evt2(upper, s):
                yield kind, (t, x + bit, y, p)


def evt3(word: int, s: dict[str, Any]) -> Iterator[Found]:
    clock = s.setdefault("clock", Clock(12, 2048))
    kind, value = word >> 12, word & 4095
    t = clock.time(s.get("low", 0), 12)
    if kind == 0:
        s["y"] = value & 2047
    elif kind == 2:
        sound = clock.now >= 0 and "y" in s
        yield ("event" if sound else "lost", (t, value & 2047, s.get("y", 0), value >> 11))
    elif kind == 3:
        s["x"], s["p"] = value & 2047, value >> 11
    elif kind in (4, 5):
        length = 12 if kind == 4 else 8
        sound = clock.now >= 0 and "y" in s and "x" in s
        for bit in range(length):
            if value >> bit & 1:
                yield ("event" if sound else "lost", (t, s.get("x", 0) + bit, s.get("y", 0), s.get("p", 0)))
        if "x" in s:
            s["x"] += length
    elif kind == 6:
        s["low"] = value
    elif kind == 8:
        if value != clock.now:
            s["low"] = 0
        clock.set(value)
    elif kind == 10:
        if clock.now >= 0:
            yield "trigger", (t, value >> 8, 0, value & 1)
    elif kind not in (7, 14, 15):
        raise WrongWordError


def dat(word: int, s: dict[str, Any]) -> Iterator[Found]:
    t, rest = word % 2**32, word >> 32
    t += s.get("epoch", 0)
    if t < s.get("t", 0) - 2**31:
        t += 2**32
    s["t"], s["epoch"] = t, t >> 32 << 32
    if rest >> 28 > 1:
        raise WrongWordError
    yield "event", (t, rest & 0x3FFF, rest >> 14 & 0x3FFF, rest >> 28)


def expected(decoder: Callable[[int, dict[str, Any]], Iterator[Found]], words: list[int]) -> dict[str, Any]:
    """Events before the first fault, all triggers up to an unknown word, number of the word at fault or None."""
    state: dict[str, Any] = {}
    events: list[tuple[int, ...]] = []
    triggers: list[tuple[int, ...]] = []
    lost, fault = 0, None
    for k, word in enumerate(words):
        try:
            found = list(decoder(word, state))
        except WrongWordError:
            return {"events": events, "triggers": triggers, "lost": lost, "fault": k if fault is None else fault}
        for kind, (t, x, y, p) in found:
            if kind == "trigger":
                triggers.append((t, x, p))
            elif fault is None:
                if kind == "lost":
                    lost += 1
                elif x >= SENSOR[0] or y >= SENSOR[1] or (events and t < events[-1][0]):
                    fault = k
        if fault is None:
            events += [event for kind, event in found if kind == "event"]
    return {"events": events, "triggers": triggers, "lost": lost, "fault": fault}


@st.composite
def stream_of(draw: st.DrawFn, kind: str) -> list[int]:
    """Words that are mostly sound: times that mostly rise, coordinates mostly inside, now and then a flipped bit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = {"evt2": 32, "evt21": 64, "evt3": 16, "dat": 64}[kind]
    wide = draw(st.booleans())
    high = int(rng.choice([0, 5, 4090, 2**28 - 3]))
    low, words = 0, list[int]()
    for _ in range(draw(st.integers(0, 120))):
        x, y, p = int(rng.integers(0, 100)), int(rng.integers(0, 60)), int(rng.integers(0, 2))
        choice = rng.random()
        step = rng.random() < 0.1
        if kind == "dat":
            high += int(rng.choice([0, 3, 2**30])) * step
            words.append(high * 16 % 2**32 | (x | y << 14 | p << 28) << 32)
        elif step or (not words and not wide):
            high, low = high + int(rng.integers(0, 3)), 0
            words.append(
                {"evt2": 8 << 28 | high % 2**28, "evt3": 8 << 12 | high % 4096}.get(
                    kind, (8 << 28 | high % 2**28) << 32
                )
            )
        elif kind == "evt3":
            low = min(4095, low + int(rng.integers(0, 40)))
            words.append(
                [
                    y,
                    2 << 12 | p << 11 | x,
                    3 << 12 | p << 11 | x // 2,
                    4 << 12 | x * 41,
                    5 << 12 | x,
                    6 << 12 | low,
                    10 << 12 | y << 4 | p,
                    7 << 12,
                    14 << 12 | x,
                    15 << 12,
                ][int(rng.choice(10, p=[0.15, 0.3, 0.1, 0.1, 0.1, 0.1, 0.05, 0.03, 0.03, 0.04]))]
            )
        else:
            low = min(63, low + int(rng.integers(0, 3)))
            word = (p if choice < 0.9 else int(rng.choice([10, 14, 15]))) << 28 | low << 22 | x << 11 | y
            mask = int(rng.integers(0, 2**32)) & int(rng.integers(0, 2**32)) if x < 68 else 1
            words.append(word if kind == "evt2" else word << 32 | mask)
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        if words:
            words[int(rng.integers(len(words)))] ^= 1 << int(rng.integers(size))
    return words


LAYOUTS: dict[str, tuple[Any, str, bytes]] = {
    "evt2": (evt2, "<I", b"% evt 2.0\n% geometry 100x60\n% end\n"),
    "evt21": (evt21, "<Q", b"% evt 2.1\n% format EVT21;width=100;height=60;endianness=little\n% end\n"),
    "swapped": (evt21, "<II", b"% format EVT21;width=100;height=60;endianness=legacy\n% end\n"),
    "evt3": (evt3, "<H", b"% evt 3.0\n% geometry 100x60\n% end\n"),
    "dat": (dat, "<Q", b"% Version 2\n% Width 100\n% Height 60\n\x0c\x08"),
}


def quiet(path: Path, **options: Any) -> tuple[Events, list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = read(path, **options)
    assert isinstance(found, Events)
    return found, [str(one.message) for one in told]


@pytest.mark.parametrize("name", LAYOUTS)
@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_kernels_agree_with_a_slow_decoder(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    decoder, layout, head = LAYOUTS[name]
    words = data.draw(stream_of("evt21" if name == "swapped" else name))
    packed = b"".join(struct.pack(layout, *([w >> 32, w % 2**32] if name == "swapped" else [w])) for w in words)
    path = tmp_path_factory.getbasetemp() / f"{name}.raw"
    path.write_bytes(head + packed)
    want = expected(decoder, words)

    found, told = quiet(path, errors="truncate")
    assert found.array.tolist() == [(t, x, y, bool(p)) for t, x, y, p in want["events"]]
    assert any("left out" in text and "events before" in text for text in told) == (want["lost"] > 0)
    if want["fault"] is None:
        assert quiet(path)[0].equals(found)
        assert extras(path).triggers.tolist() == [(t, i, bool(p)) for t, i, p in want["triggers"]]
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(FormatError) as caught:
                read(path)
        assert caught.value.offset == len(head) + want["fault"] * struct.calcsize(layout)
    skipped, _ = quiet(path, errors="skip")
    Events(skipped.array.copy(), SENSOR)  # checks order and range
    assert (skipped.array[: len(found)] == found.array).all()


def write_words(path: Path, name: str, words: list[int]) -> None:
    _, layout, head = LAYOUTS[name]
    path.write_bytes(head + b"".join(struct.pack(layout, word) for word in words))


def test_skip_goes_on_at_the_next_time_high(tmp_path: Path) -> None:
    good = [word for high in range(40) for word in (8 << 12 | high, 6 << 12 | 5, 7, 2 << 12 | high)]
    for at in (10, 11, 13):
        write_words(tmp_path / "a", "evt3", [*good[:at], 9 << 12, *good[at:]])
        found, told = quiet(tmp_path / "a", errors="skip")
        gone = range(-(-at // 4) - 1, -(-at // 4)) if at % 4 else range(0)
        assert found.x.tolist() == [high for high in range(40) if high not in gone]
        assert "found a word of a type that the format does not have" in told[0]
    # A byte that is missing moves all words.
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[:150] + data[151:])
    found, _ = quiet(tmp_path / "a", errors="skip")
    assert len(found) >= 35


def test_an_event_outside_is_lost_alone(tmp_path: Path) -> None:
    write_words(tmp_path / "a", "evt2", [8 << 28, 3, 2000, 5])
    found, told = quiet(tmp_path / "a", errors="skip")
    assert found.y.tolist() == [3, 5] and "left 4 bytes out" in told[0]
    write_words(tmp_path / "a", "evt3", [8 << 12, 70, *[2 << 12 | 1] * 9, 7, 2 << 12 | 2])
    found, told = quiet(tmp_path / "a", errors="skip")
    assert found.x.tolist() == [2] and "left 18 bytes out" in told[0]


def test_a_time_that_falls_is_refused_or_sorted(tmp_path: Path) -> None:
    write_words(tmp_path / "a", "evt3", [8 << 12, 6 << 12 | 9, 0, 2 << 12 | 1, 6 << 12 | 4, 2 << 12 | 2])
    with pytest.raises(FormatError, match="found a time before that of the event before it"):
        read(tmp_path / "a")
    found, _ = quiet(tmp_path / "a", sort=True)
    assert found.array.tolist() == [(4, 2, 0, False), (9, 1, 0, False)]


def test_the_word_order_of_evt21_is_seen_without_a_word_in_the_header(tmp_path: Path) -> None:
    words = [8 << 60 | 3 << 32, *(1 << 60 | k << 54 | 5 << 43 | 9 << 32 | 6 for k in range(20))]
    found = {}
    for order in ("<Q", "<II"):
        packed = b"".join(struct.pack(order, *([w] if order == "<Q" else [w >> 32, w % 2**32])) for w in words)
        (tmp_path / "a").write_bytes(b"% evt 2.1\n" + packed)
        found[order] = read(tmp_path / "a")
    assert found["<Q"].array.tolist() == found["<II"].array.tolist()
    assert found["<Q"].x.tolist() == [6, 7] * 20


def test_dat_of_version_1_and_of_triggers(tmp_path: Path) -> None:
    word = 1 << 17 | 200 << 9 | 300
    (tmp_path / "a.dat").write_bytes(b"% no version\n\x00\x08" + struct.pack("<II", 7, word))
    found, _ = quiet(tmp_path / "a.dat")
    assert found.array.tolist() == [(7, 300, 200, True)]
    (tmp_path / "a.dat").write_bytes(b"% Version 2\n\x0e\x08" + struct.pack("<II", 7, 6 << 26 | 1))
    assert len(quiet(tmp_path / "a.dat")[0]) == 0
    assert extras(tmp_path / "a.dat").triggers.tolist() == [(7, 6, True)]
