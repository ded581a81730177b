"""Memory of large results: grown without a loss, taken again once free, never while an array shows it."""

import gc
import mmap

import numpy as np
import pytest

from spikelab import memory

MB = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_idle", {})


def place(array: object) -> int:
    return np.asarray(array).__array_interface__["data"][0]


def test_lent_memory_comes_back_when_the_last_view_is_gone_and_fits_up_to_twice_the_size() -> None:
    taken = memory.take(4 * MB)
    there = place(taken.content)
    view = taken.lend(3 * MB).view(np.int64)[5:]
    del taken
    gc.collect()
    assert place(memory.take(3 * MB).content) != there
    del view
    gc.collect()
    assert place(memory.take(MB).content) != there  # too large for that
    assert place(memory.take(3 * MB).content) == there


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("start", [16, 2 * MB])
def test_growing_keeps_what_is_there(start: int, held: bool) -> None:
    grown = memory.take(start)
    grown.content[:] = 7
    shown = grown.content[3:] if held else None
    for size in (4 * MB, 9 * MB):
        grown.grow(size)
        assert len(grown.content) >= size and (grown.content[:start] == 7).all()
    grown.content[-1] = 1
    assert shown is None or (shown == 7).all()
    assert len(grown.lend(9 * MB)) == 9 * MB


def test_only_touched_bytes_count_as_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST", 4 * MB)
    memory.take(64 * MB).lend(2 * MB)
    gc.collect()
    assert [kept.touched for kept in memory._idle.values()] == [2 * MB]
    memory.take(3 * MB).lend(3 * MB)
    gc.collect()
    assert [kept.touched for kept in memory._idle.values()] == [3 * MB]


def test_without_private_mappings_it_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MAP_PRIVATE")
    grown = memory.take(MB)
    grown.content[:] = 3
    grown.grow(2 * MB)
    assert (grown.content[:MB] == 3).all()
