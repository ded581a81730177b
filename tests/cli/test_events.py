"""`spikelab events`: what is written is what was read, or nothing is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from spikelab.cli.main import app
from spikelab.events import FORMATS, Events, Extras, Recordings, extras, nmnist, read, shd, write
from spikelab.events.source import TRIGGER

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "datasets" / "recordings"
DAVIS = BUNDLED / "davis346.aedat4"
WRITERS = sorted(name for name, one in FORMATS.items() if one.write is not None)


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["events", *map(str, arguments)])


def facts(*arguments: Any) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def refused(*arguments: Any) -> str:
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(autouse=True)
def there() -> None:
    if not DAVIS.is_file():
        pytest.skip("datasets/ is not in this source distribution")


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Events]:
    """2000 events of 34 x 34 pixels, as a file."""
    rng = np.random.default_rng(3)
    t = 7 + np.sort(rng.integers(0, 400_000, 2000))
    events = Events.from_columns(t, *rng.integers(0, 34, (2, 2000)), rng.integers(0, 2, 2000), shape=(34, 34))
    nmnist.write(events, tmp_path / "small.bin")
    return tmp_path / "small.bin", events


def test_info_tells_rate_duration_and_what_lies_beside() -> None:
    found = facts("info", DAVIS)
    assert (found["count"], found["duration_us"]) == (6676, 169_941)
    assert found["rate_hz"] == 39284.2222
    beside = extras(DAVIS)
    numbers = (len(beside.triggers), len(beside.imu), len(beside.frames))
    assert (found["triggers"], found["imu_samples"], found["frames"]) == numbers and "warnings" not in found


def test_damage_is_refused_or_taken_with_a_warning(small: tuple[Path, Events], tmp_path: Path) -> None:
    (tmp_path / "cut.bin").write_bytes(small[0].read_bytes()[:-2])
    assert "byte 9995" in refused("info", tmp_path / "cut.bin")
    found = facts("info", tmp_path / "cut.bin", "--errors", "truncate")
    assert found["count"] == 1999 and len(found["warnings"]) == 1
    result = call("convert", tmp_path / "cut.bin", tmp_path / "o.bin", "--errors", "skip")
    assert result.exit_code == 0 and result.stderr.startswith("warning: ") and "wrote 1,999 events" in result.stdout
    assert "did you mean 'strict'" in refused("info", small[0], "--errors", "strikt")


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_that_is_written_takes_a_small_recording(
    name: str, small: tuple[Path, Events], tmp_path: Path
) -> None:
    path, events = small
    out = tmp_path / f"o{FORMATS[name].suffixes[0]}"
    result = call("convert", path, out, "--to", name, "--json")
    if result.exit_code:
        assert "nothing_is_lost" in json.loads(result.stdout)["message"]
        found = facts("convert", path, out, "--to", name, "--drop", "shape,times,extras")
        assert found["dropped"]
    else:
        found = json.loads(result.stdout)
        assert found["dropped"] == {} and (found["count"], found["on_count"]) == (2000, int(events.p.sum()))
        again = read(out, format=name)
        assert isinstance(again, Events) and again.equals(events)
    assert found["output_bytes"] == out.stat().st_size and found["output_format"] == name


def test_what_the_target_cannot_hold_is_refused_until_it_is_given_up(tmp_path: Path) -> None:
    out = tmp_path / "o.bin"
    part = ("cut", DAVIS, out, "--crop", "0,0,200,200", "--drop", "extras")
    assert "--drop times" in refused(*part)
    message = refused(*part, "--drop", "times")
    assert "shape: found 200x200 reads as 34x34" in message and "consent with --drop shape" in message
    assert list(tmp_path.iterdir()) == []
    found = facts(*part, "--drop", "times", "--drop", "shape")
    assert {"times", "shape"} <= set(found["dropped"]) and found["t_first_us"] == 0
    again, whole = read(out, shape=(200, 200)), read(DAVIS)
    assert isinstance(again, Events) and isinstance(whole, Events)
    kept = whole.array[(whole.x < 200) & (whole.y < 200)]
    assert np.array_equal(again.t, kept["t"] - kept["t"][0]) and np.array_equal(again.x, kept["x"])


def test_triggers_stay_behind_only_by_consent(
    small: tuple[Path, Events], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = type(FORMATS["nmnist"].open(small[0], None))  # type: ignore[arg-type]
    triggers = np.zeros(3, TRIGGER)
    monkeypatch.setattr(source, "extras", lambda _: Extras.none()._replace(triggers=triggers))
    assert facts("info", small[0])["triggers"] == 3
    message = refused("convert", small[0], tmp_path / "o.bin")
    assert "3 triggers" in message and "--drop triggers" in message
    assert facts("convert", small[0], tmp_path / "o.bin", "--drop", "extras")["dropped"] == {"triggers": 3}
    assert "triggers" in facts("view", small[0], tmp_path / "o.html")["beside"]


def test_a_writer_that_loses_something_is_found_out(
    small: tuple[Path, Events], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(change: str) -> Any:
        def write(events: Events, path: Path) -> None:
            array = events.array.copy()
            if change == "count":
                array = array[:-1]
            else:
                array[change][5] ^= 1
            nmnist.write(Events(array[np.argsort(array["t"], kind="stable")], events.shape), path)

        return replace(nmnist.FORMAT, write=write)

    for change, name in (("t", "times"), ("x", "columns"), ("y", "rows"), ("count", "events"), ("p", "polarity")):
        monkeypatch.setitem(FORMATS, "nmnist", lossy(change))
        assert f"\n{name}: found" in refused("convert", small[0], tmp_path / "o.bin")
        assert not (tmp_path / "o.bin").exists()
    assert set(facts("convert", small[0], tmp_path / "o.bin", "--drop", "polarity")["dropped"]) == {"polarity"}


@pytest.mark.parametrize(
    "options", [("--start", "100 ms"), ("--stop", "0.1 s"), ("--start", "50 ms", "--stop", "90 ms")]
)
def test_cut_in_time_takes_what_between_takes(
    options: tuple[str, ...], small: tuple[Path, Events], tmp_path: Path
) -> None:
    path, events = small
    given = dict(zip(options[::2], options[1::2], strict=True))
    us = {"100 ms": 100_000, "0.1 s": 100_000, "50 ms": 50_000, "90 ms": 90_000}
    bounds = [
        us[given[name]] if name in given else otherwise for name, otherwise in (("--start", 0), ("--stop", 10**6))
    ]
    for origin, more in ((int(events.t[0]), ()), (0, ("--absolute",))):
        facts("cut", path, tmp_path / "o.bin", *options, *more)
        again = read(tmp_path / "o.bin")
        assert isinstance(again, Events) and again.equals(events.between(origin + bounds[0], origin + bounds[1]))


def test_cut_by_count_and_on_the_sensor(small: tuple[Path, Events], tmp_path: Path) -> None:
    path, events = small
    out = tmp_path / "o.bin"
    assert facts("cut", path, out, "--count", 70, "--start", "10 ms")["count"] == 70
    found = facts("cut", path, out, "--crop", "10,20,5,7", "--count", 3, "--drop", "shape")
    inside = (events.x >= 10) & (events.x < 15) & (events.y >= 20) & (events.y < 27)
    again = read(out, shape=(5, 7))
    assert isinstance(again, Events) and (found["width"], found["height"]) == (5, 7)
    assert np.array_equal(again.t, events.t[inside][:3]) and np.array_equal(again.y, events.y[inside][:3] - 20)
    assert facts("cut", path, out, "--start", "9 s")["count"] == 0


def test_one_recording_of_a_set_is_taken_by_number(tmp_path: Path) -> None:
    some = [Events.from_columns([k, 10 + k], [1, 2], shape=(700,)) for k in range(3)]
    shd.write(Recordings.of(some, [0, 1, 0], ("a", "b")), tmp_path / "set.h5")
    assert "--recording 0" in refused("view", tmp_path / "set.h5", tmp_path / "o.html")
    assert facts("view", tmp_path / "set.h5", tmp_path / "o.html", "--recording", 1)["t_first_us"] == 1
    found = facts("view", tmp_path / "set.h5", tmp_path / "o.html", "--recording", 1, "--crop", "2,1")
    assert (found["count"], found["width"], found["height"]) == (1, 1, 1)
    assert "single recording" in refused("view", DAVIS, tmp_path / "o.html", "--recording", 0)


def test_times_that_run_backwards_are_sorted_when_asked(tmp_path: Path) -> None:
    record = bytes([1, 2, 0, 0, 9]), bytes([3, 4, 128, 0, 5])
    (tmp_path / "back.bin").write_bytes(b"".join(record))
    refused("info", tmp_path / "back.bin")
    assert facts("info", tmp_path / "back.bin", "--sort")["t_first_us"] == 5
    facts("convert", tmp_path / "back.bin", tmp_path / "o.bin", "--sort")
    again = read(tmp_path / "o.bin")
    assert isinstance(again, Events) and again.t.tolist() == [5, 9] and again.x.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", DAVIS, "o.xyz"], "--to"),
        (["convert", DAVIS, "o.bin", "--to", "nmnistt"], "did you mean 'nmnist'"),
        (["convert", DAVIS, "o.bin", "--drop", "frame"], "did you mean 'frames'"),
        (["convert", DAVIS, "o.bin", "--write", "codec"], "NAME=VALUE"),
        (["convert", DAVIS, "o.bin", "--write", "colour=3"], "option of N-MNIST .bin"),
        (["convert", DAVIS, "o.bin", "--read", "strem=3"], "did you mean 'stream'"),
        (["convert", DAVIS, "/nowhere/at/all/o.bin"], "folder"),
        (["convert", "missing.bin", "o.bin"], "missing.bin"),
        (["cut", DAVIS, "o.bin", "--start", "5"], "without a unit"),
        (["cut", DAVIS, "o.bin", "--start", "5 ms", "--stop", "1 ms"], "swap"),
        (["cut", DAVIS, "o.bin", "--crop", "1,2,3"], "X,Y,WIDTH,HEIGHT"),
        (["cut", DAVIS, "o.bin", "--crop", "340,0,20,20"], "346 x 260"),
        (["view", DAVIS, "/nowhere/at/all/o.html"], "folder"),
        (["info", DAVIS, "--shape", "(3, 4)"], "640x480"),
    ],
)
def test_mistakes_exit_with_1_and_say_what_to_do(
    arguments: list[Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_never_replaced(small: tuple[Path, Events], tmp_path: Path) -> None:
    path, before = small[0], small[0].read_bytes()
    (tmp_path / "link.bin").symlink_to(path)
    (tmp_path / "link.html").symlink_to(path)
    (tmp_path / "hard.bin").hardlink_to(path)
    (tmp_path / "folder").mkdir()
    for other in (path, tmp_path / "link.bin", tmp_path / "hard.bin", tmp_path / "folder" / ".." / path.name):
        assert "found the recording itself" in refused("convert", path, other)
        assert "found the recording itself" in refused("cut", other, path, "--count", "3")
    assert "found the recording itself" in refused("view", path, tmp_path / "link.html")
    assert "expected .html or .htm" in refused("view", path, tmp_path / "v.png")
    assert path.read_bytes() == before and not (tmp_path / "v.png").exists()
    assert facts("view", path, tmp_path / "V.HTM")["count"] == 2000


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    assert call("convert", DAVIS).exit_code == 2
    assert call("cut", DAVIS, tmp_path / "o.bin", "--count", "0").exit_code == 2
    assert call("play", DAVIS).exit_code == 2


KILLED = """
import os, signal, sys
from dataclasses import replace
from spikelab.cli.main import app
from spikelab.events import FORMATS, nmnist

moment, source, out = sys.argv[1:]

def write(events, path):
    nmnist.write(events, path)
    if moment == "half":
        os.truncate(path, os.path.getsize(path) // 2)
    if moment != "end":
        os.kill(os.getpid(), signal.SIGKILL)

if moment == "end":
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
else:
    FORMATS["nmnist"] = replace(nmnist.FORMAT, write=write)
app(["events", "convert", source, out])
"""


def test_a_recording_passes_through_memory_in_pieces(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    count = 1 << 20
    t = np.sort(rng.integers(0, 8_000_000, count))
    events = Events.from_columns(t, *rng.integers(0, 240, (2, count)), rng.integers(0, 2, count), shape=(256, 256))
    write(events, tmp_path / "a.raw", format="evt2")
    write(events.between(0, 9), tmp_path / "warm.raw", format="evt2")
    for name in (name for name, one in FORMATS.items() if one.pieces):
        out = tmp_path / f"o{FORMATS[name].suffixes[0]}"
        facts("convert", tmp_path / "warm.raw", out, "--to", name)
        tracemalloc.start()
        found = facts("convert", tmp_path / "a.raw", out, "--to", name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < events.array.nbytes, name
        assert (found["count"], found["on_count"], found["t_last_us"]) == (count, int(events.p.sum()), int(t[-1]))
        again = read(out, format=name)
        assert isinstance(again, Events) and again.equals(events)


def test_pieces_are_not_begun_anew_behind_damage(tmp_path: Path) -> None:
    # The recording is opened three times: for its shape, to be written, and to be compared.
    lines = [f"{k / 1e6:.6f} {k % 30} {k % 20} {k & 1}\n" for k in range(70_000)]
    (tmp_path / "a.txt").write_text("".join([*lines[:50_000], "damage\n", *lines[50_000:]]))
    result = call("convert", tmp_path / "a.txt", tmp_path / "o.raw", "--to", "evt3", "--errors", "skip")
    assert result.exit_code == 0 and result.stderr.count("warning") == 1 and "70,000 events (30 x 20" in result.stdout
    found = facts("convert", tmp_path / "a.txt", tmp_path / "o.raw", "--to", "evt3", "--errors", "truncate")
    assert found["count"] == 50_000 and len(found["warnings"]) == 1
    (tmp_path / "b.txt").write_text("".join(lines[1:]))
    found = facts("convert", tmp_path / "b.txt", tmp_path / "o.dat", "--drop", "times")
    assert (found["t_first_us"], found["t_last_us"], found["count"]) == (0, 69_998, 69_999)
    assert found["dropped"] == {"times": "t = 0 was 1 us"}


@pytest.mark.parametrize("moment", ["half", "whole", "end"])
def test_a_conversion_that_is_killed_leaves_the_old_file_or_none(
    moment: str, small: tuple[Path, Events], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    if moment == "whole":
        (folder / "o.bin").write_bytes(b"\1\2\0\0\3")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, moment, str(small[0]), str(folder / "o.bin")],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [p.name for p in folder.iterdir() if not p.name.startswith(".spikelab-")] == (
        ["o.bin"] if moment == "whole" else []
    )
    if moment == "whole":
        assert (folder / "o.bin").read_bytes() == b"\1\2\0\0\3"
    left = [p for p in folder.iterdir() if p.name.startswith(".spikelab-")]
    assert left and all(p.suffix == ".tmp" for p in left)
    for path in left:  # what lies there under the temporary name is taken for no recording
        refused("info", path)


KILLED_IN_PIECES = """
import os, signal, sys
from dataclasses import replace
from spikelab.cli.main import app
from spikelab.events import FORMATS, dat

def write(pieces, path):
    def some():
        yield next(pieces)
        yield next(pieces)
        os.kill(os.getpid(), signal.SIGKILL)
    dat.write(some(), path)

FORMATS["dat"] = replace(dat.FORMAT, write=write)
app(["events", "convert", *sys.argv[1:], "--drop", "shape"])
"""


def test_a_conversion_that_is_killed_between_two_pieces_leaves_the_old_file(
    small: tuple[Path, Events], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "o.dat").write_bytes(b"old")
    command = [sys.executable, "-c", KILLED_IN_PIECES, str(small[0]), str(folder / "o.dat")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "o.dat").read_bytes() == b"old"
    others = [p.name for p in folder.iterdir() if p.name != "o.dat"]
    assert others and all(name.startswith(".spikelab-") and name.endswith(".tmp") for name in others)


def test_what_was_given_up_already_is_not_advised(tmp_path: Path) -> None:
    far = Events.from_columns(t=[10**9, 10**15], x=[1, 2], y=[1, 2], shape=(34, 34))
    write(far, tmp_path / "a.npz")
    assert "--drop times" in refused("convert", tmp_path / "a.npz", tmp_path / "a.es")
    message = refused("convert", tmp_path / "a.npz", tmp_path / "a.es", "--drop", "times")
    assert "--drop times" not in message and "events cut" in message
