"""A short part of `fuzz_events.py`: a few hundred damaged files for each reader; and that it finds what is wrong."""

from __future__ import annotations

import gc
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feeding
import fuzz_events as fuzz
import numpy as np
import pytest
from damage import damaged

from spikelab.errors import FormatError
from spikelab.events import Events
from spikelab.events import files as event_files

if not hasattr(signal, "SIGALRM"):
    pytest.skip("hangs are found with an alarm, which this system lacks", allow_module_level=True)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Intact files of each reader."""
    found: dict[str, list[Any]] = fuzz.seeds_of(None, tmp_path_factory.mktemp("seeds"))
    return found


@pytest.mark.parametrize("reader", fuzz.readers())
def test_damaged_files_give_valid_events_or_a_documented_error(
    reader: str, seeds: dict[str, list[Any]], tmp_path: Path
) -> None:
    if reader == "mcap":
        pytest.importorskip("mcap")
    assert seeds[reader], f"no intact file of {reader} to damage"
    state = np.zeros(9, np.int64)
    feeding.feed(seeds[reader], 1, range(200), tmp_path, state)
    found = sorted(tmp_path.glob("*.txt"))
    assert not found, found[0].read_text(encoding="utf-8")
    assert state[1:5].sum() == 200 and state[2:5].sum() > 40


def test_damage_is_the_same_for_the_same_numbers_and_half_of_it_lies_behind_the_header(
    seeds: dict[str, list[Any]],
) -> None:
    for seed in (one for some in seeds.values() for one in some):
        inputs = [damaged(seed, 1, k) for k in range(20)]
        assert inputs == [damaged(seed, 1, k) for k in range(20)] and inputs != [damaged(seed, 2, k) for k in range(20)]
        assert all(one[: seed.header] == seed.data[: seed.header] for one in inputs[1::2])


ONE = Events.from_columns(t=[5, 9], x=[2, 3], y=[0, 1], p=[0, 1], shape=(8, 6))


def unsorted() -> Events:
    array = ONE.array.copy()
    array["t"] = array["t"][::-1]
    bad = object.__new__(Events)
    object.__setattr__(bad, "array", array)
    object.__setattr__(bad, "shape", ONE.shape)
    return bad


def outside() -> Events:
    bad = object.__new__(Events)
    object.__setattr__(bad, "array", ONE.array)
    object.__setattr__(bad, "shape", (3, 6))
    return bad


def refused(path: Path) -> Events:
    raise FormatError(path, "found nothing", 0)


def broken(path: Path) -> Events:
    raise KeyError("x")


def nameless(path: Path) -> Events:
    raise FormatError("", "found nothing", 0)


def waits(path: Path) -> Events:
    time.sleep(30)
    return ONE


PLANTED: dict[str, tuple[Callable[[Path, str], Any], str]] = {
    "an exception of another class": (lambda path, errors: broken(path), "KeyError"),
    "an error without the path": (lambda path, errors: nameless(path), "without the path"),
    "events out of order": (lambda path, errors: unsorted(), "backwards"),
    "events outside the sensor": (lambda path, errors: outside(), "on a sensor of"),
    "silence about damage": (lambda path, errors: refused(path) if errors == "strict" else ONE, "without a warning"),
    "modes that differ": (lambda path, errors: ONE if errors == "strict" else ONE.between(0, 7), "differ"),
    "a stream that differs": (lambda path, errors: ONE, "stream"),
    "a hang": (lambda path, errors: waits(path), "TimeoutError"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_wrong_is_found(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant, message = PLANTED[name]
    monkeypatch.setattr(event_files, "read", lambda path, format=None, errors="strict": plant(path, errors))
    monkeypatch.setattr(event_files, "stream", lambda path, **_: iter([ONE.between(0, 7)]))
    monkeypatch.setattr(feeding, "SECONDS", 1)
    with feeding._alarm():
        outcome, trace = feeding._try(b"any", tmp_path / "a.bin", "nmnist", 0)
    assert outcome and message in trace


def test_a_worker_that_dies_or_stands_still_is_found_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker of a few lines in place of the readers: input 2 kills it, input 4 stops it."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import os, sys, time\nimport numpy as np\n"
        "word = lambda name: sys.argv[sys.argv.index(name) + 1]\n"
        "state = np.memmap(word('--state'), np.int64, 'r+')\n"
        "for k in range(int(word('--first')), int(word('--count'))):\n"
        "    state[0] = k\n"
        "    if k == 2: os.abort()\n"
        "    if k == 4: time.sleep(60)\n"
        "    state[1] += 1\n"
    )
    monkeypatch.setattr(feeding, "SECONDS", 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = feeding.supervise("nmnist", 1, 6, tmp_path / "found", script)
    assert (line["read"], line["deaths"], line["hangs"], line["wrong"]) == (4, 1, 1, 0)
    assert sorted(p.name for p in (tmp_path / "found").iterdir()) == ["nmnist-1-2.txt", "nmnist-1-4.txt"]


def test_a_refused_file_leaves_nothing_in_memory(tmp_path: Path) -> None:
    """An error that its own trace refers to would keep the reader's buffers until the next collection of cycles."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"\xff" * 50)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(FormatError, match="outside"):
            event_files.read(path)
        assert not [one for one in gc.get_objects() if isinstance(one, FormatError) and one.path == str(path)]
    finally:
        gc.enable()
