"""The player, opened in a browser: what it says and draws is what the events are."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from spikelab.errors import ShapeError
from spikelab.events import Events
from spikelab.report import write_player

ON, OFF = (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9)


def some(count: int = 3000, shape: tuple[int, ...] = (40, 30), start: int = 10**15) -> Events:
    rng = np.random.default_rng(0)
    t = start + np.sort(rng.integers(0, 500_000, count))
    y = rng.integers(0, shape[1], count) if len(shape) == 2 else None
    return Events.from_columns(t, rng.integers(0, shape[0], count), y, rng.integers(0, 2, count), shape=shape)


def packed(page: str, facts: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    text = re.search(r'id="events">([^<]*)<', page)
    assert text is not None
    words = np.frombuffer(base64.b64decode(text[1]), "<u4").reshape(2, facts["shown"])
    return words[0], words[1]


def data(page: str) -> dict[str, list[int]]:
    text = re.search(r'id="facts">([^<]*)<', page)
    assert text is not None
    return dict(json.loads(text[1]))


def test_the_page_holds_the_events_and_loads_nothing(tmp_path: Path) -> None:
    events = some()
    facts = write_player(events, tmp_path / "a.html", title="a <b>name</b>")
    page = (tmp_path / "a.html").read_text()
    t, cell = packed(page, facts)
    assert np.array_equal(t, events.t - events.t[0])
    assert np.array_equal(cell & 1, events.p)
    assert np.array_equal(cell // 2 % 40, events.x) and np.array_equal(cell // 80, events.y)
    assert "a &lt;b&gt;name&lt;/b&gt;" in page and "<b>" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|src=|@import|url\(|fetch\(|import\(", page)
    assert "Thinned" not in page


def test_thinning_is_even_said_and_leaves_the_rate_as_it_is(tmp_path: Path) -> None:
    events = some(10_000)
    facts = write_player(events, tmp_path / "a.html", most=1000)
    page = (tmp_path / "a.html").read_text()
    assert facts["shown"] == 1000 and facts["count"] == 10_000
    assert "Thinned: the picture shows 1,000 of 10,000 events (10.00%" in page
    t, _ = packed(page, facts)
    assert np.array_equal(t, (events.t - events.t[0])[9::10])
    rate = data(page)
    assert sum(rate["on"]) == events.p.sum() and sum(rate["on"]) + sum(rate["off"]) == 10_000
    uneven = write_player(events, tmp_path / "b.html", most=7777)
    t, _ = packed((tmp_path / "b.html").read_text(), uneven)
    assert len(t) == 7777 and t.any()


@pytest.mark.parametrize("shape", [(40, 30), (16,)])
def test_no_events_make_a_page_too(shape: tuple[int, ...], tmp_path: Path) -> None:
    facts = write_player(some(0, shape), tmp_path / "a.html")
    assert (facts["count"], facts["t_first_us"]) == (0, None)
    assert "no events" in (tmp_path / "a.html").read_text()


def test_a_recording_of_days_says_that_its_times_are_rounded(tmp_path: Path) -> None:
    days = Events.from_columns([-5, 10**10], [0, 1], [0, 1], shape=(2, 2))
    assert write_player(days, tmp_path / "a.html")["tick_us"] == 3
    assert "rounded down to 3 us" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_a_cap_that_is_no_count_is_refused(most: int, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="most="):
        write_player(some(), tmp_path / "a.html", most=most)


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine (chromium, chromium-browser, google-chrome, chrome)")


def opened(browser: str, page: Path, asked: str, *options: str) -> str:
    """The page's document after its script ran."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        f"--user-data-dir={page.parent / 'profile'}",
        "--window-size=1000,900",
        "--virtual-time-budget=3000",
        *options,
        f"file://{page}#{asked}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(document: str, name: str) -> str:
    text = re.search(rf'id="{name}"[^>]*>([^<]*)<', document)
    assert text is not None
    return text[1]


def test_a_browser_says_and_draws_what_is_in_the_window(browser: str, tmp_path: Path) -> None:
    events = some()
    write_player(events, tmp_path / "a.html")
    document = opened(browser, tmp_path / "a.html", "t=0.25&window=0.02", "--dump-dom")
    assert 'data-ready="yes"' in document
    first = int(events.t[0])
    inside = events.between(first + 230_000, first + 250_000)
    on = int(inside.p.sum())
    assert said(document, "now") == "250.00 ms"
    assert [said(document, n) for n in ("inside", "ons", "offs")] == [
        str(n) for n in (len(inside), on, len(inside) - on)
    ]
    drawn = sensor(browser, tmp_path / "a.html", "t=0.25&window=0.02")
    wanted = np.full((30, 40, 3), (0x14, 0x18, 0x1D))
    for x, y, p in zip(inside.x, inside.y, inside.p, strict=True):
        wanted[y, x] = ON if p else OFF
    assert np.array_equal(drawn, wanted)


def sensor(browser: str, page: Path, asked: str) -> np.ndarray:
    """The picture of a sensor of 40 x 30 pixels [30, 40, 3], found by its grey frame."""
    opened(browser, page, asked, f"--screenshot={page.parent / 'a.png'}")
    picture = np.round(imread(page.parent / "a.png")[..., :3] * 255).astype(int)
    frame = (picture == 0x8C).all(axis=2)
    (top, bottom), (left, right) = (np.flatnonzero(frame.sum(axis=k) > 200) for k in (1, 0))
    scale = (right - left - 1) // 40
    assert (scale * 40, scale * 30) == (right - left - 1, bottom - top - 1) and scale >= 8
    rows, columns = (at + 1 + scale // 2 + scale * np.arange(n) for at, n in ((top, 30), (left, 40)))
    return picture[np.ix_(rows, columns)]


def test_a_browser_plays(browser: str, tmp_path: Path) -> None:
    write_player(some(), tmp_path / "a.html")
    still, moved = (sensor(browser, tmp_path / "a.html", f"t=0.1&window=0.02&speed=1{play}") for play in ("", "&play"))
    assert not np.array_equal(still, moved)


def test_a_cochlea_is_drawn_as_channels_over_time(browser: str, tmp_path: Path) -> None:
    write_player(some(500, (16,)), tmp_path / "a.html")
    document = opened(browser, tmp_path / "a.html", "t=9&window=9", "--dump-dom")
    assert 'data-ready="yes"' in document and said(document, "inside") == "500"
    assert 'id="sensor"' in document and 'width="720" height="16"' in document
