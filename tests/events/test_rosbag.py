"""Bags: real ones against the raw files of the same recordings, and messages made here by hand."""

from __future__ import annotations

import sqlite3
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, detect, extras, info, read, stream


def whole(path: Path, **options: Any) -> Events:
    found = read(path, **options)
    assert isinstance(found, Events)
    return found


def message(events: bytes, encoding: str = "libcaer", base: int = 0, shape: tuple[int, int] = (640, 480)) -> bytes:
    """An EventPacket, aligned by hand: a frame name of 6 bytes and an encoding of any length."""
    body = struct.pack("<iI", 1, 2) + struct.pack("<I", 6) + b"front\0" + bytes(2)
    body += struct.pack("<II", shape[1], shape[0])
    body += bytes(-len(body) % 8) + struct.pack("<QQ", 0, base)
    body += struct.pack("<I", len(encoding) + 1) + encoding.encode() + b"\0" + b"\0"
    body += bytes(-len(body) % 4) + struct.pack("<I", len(events)) + events
    return b"\0\1\0\0" + body


def bag(path: Path, messages: list[bytes], topics: int = 1, kind: str = "event_camera_msgs/msg/EventPacket") -> Path:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)")
        base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        for k in range(topics):
            base.execute("INSERT INTO topics VALUES(?, ?, ?)", (k + 1, f"/camera{k}/events", kind))
            base.executemany(
                "INSERT INTO messages(topic_id, timestamp, data) VALUES(?, 0, ?)", [(k + 1, m) for m in messages]
            )
    base.close()
    return path


def libcaer(*events: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<II", 1 | p << 1 | y << 2 | x << 17, t) for t, x, y, p in events)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("codecs_evt3_trigger", "ros_codecs_1280x720_with_triggers_evt3"),
        ("event_camera_py_test_events_1", "ros_ecpy1_640x480_evt3"),
    ],
)
def test_a_bag_holds_the_events_of_its_raw_file(name: str, raw: str, shared: Path, expected: dict[str, Any]) -> None:
    path, source, want = (
        shared / f"recordings/rosbag/{name}.db3",
        shared / f"recordings/evt3/{raw}.raw",
        expected[f"recordings/evt3/{raw}.raw"],
    )
    events = whole(path)
    assert events.equals(whole(source))
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))
    joined = np.concatenate([part.array for part in stream(path, count=50_000)])
    np.testing.assert_array_equal(joined, events.array)
    np.testing.assert_array_equal(extras(path).triggers, extras(source).triggers)
    assert (detect(path), info(path)["count"]) == ("rosbag", len(events))


def test_libcaer_times_start_at_the_base_and_wrap_within_a_message(tmp_path: Path) -> None:
    top = (1 << 31) - 1
    path = bag(
        tmp_path / "a.db3",
        [
            message(libcaer((5, 639, 479, 1), (9, 0, 1, 0)), base=1_000_499),
            message(libcaer((top, 7, 8, 0), (3, 9, 9, 1)), base=2_000_500),
        ],
    )
    events = whole(path)
    assert events.array.tolist() == [
        (1005, 639, 479, True),
        (1009, 0, 1, False),
        (2001 + top, 7, 8, False),
        (2001 + top + 4, 9, 9, True),
    ]
    assert events.shape == (640, 480)
    assert len(extras(path).triggers) == 0


def test_mono_and_compressed_libcaer(tmp_path: Path) -> None:
    words = struct.pack("<IHH", 1500, 3, 4 | 1 << 15) + struct.pack("<IHH", 2501, 5, 6)
    assert whole(bag(tmp_path / "a.db3", [message(words, "mono", 10**9)])).array.tolist() == [
        (1_000_002, 3, 4, True),
        (1_000_003, 5, 6, False),
    ]
    compressed = [
        0 << 12 | 1,  # time 4096
        1 << 12 | 7,
        2 << 12 | 100,
        3 << 12 | 1 << 11 | 20,  # (4103, 100, 20, ON)
        4 << 12 | 8,  # vector from row 8, OFF
        5 << 12 | 0b10000001,  # rows 8 and 15
        5 << 12 | 0b10,  # row 17
        2 << 12 | 101,
        1 << 12 | 9,
        3 << 12 | 21,
    ]
    path = bag(tmp_path / "b.db3", [message(np.array(compressed, "<u2").tobytes(), "libcaer_cmp", 10**15)])
    base = 10**15 + 4096
    assert whole(path).array.tolist() == [
        (base + 7, 100, 20, True),
        (base + 7, 100, 8, False),
        (base + 7, 100, 15, False),
        (base + 7, 100, 17, False),
        (base + 9, 101, 21, False),
    ]


GOOD = [message(libcaer((10 * k, k, k, k % 2))) for k in range(1, 5)]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GOOD[2][:-3], "found .* bytes of events; expected 8"),
        (b"", "found the representation"),
        (message(libcaer((30, 3, 3, 1))[:7]), "expected words of 8"),
        (message(libcaer((30, 3, 700, 1))), "found the event"),
        (message(libcaer((3, 3, 3, 1))), "found the event .* after 20 us"),
        (message(bytes(8), "mono"), "found the encoding 'mono' after 'libcaer'"),
        (message(libcaer((30, 3, 3, 1)), shape=(0, 5)), "found a sensor of 0 x 5"),
    ],
)
def test_a_damaged_message_is_named_and_passed_over(bad: bytes, said: str, tmp_path: Path) -> None:
    path = bag(tmp_path / "a.db3", [*GOOD[:2], bad, GOOD[3]])
    with pytest.raises(FormatError, match=said):
        read(path)
    with pytest.warns(UserWarning, match="kept 2 events"):
        assert whole(path, errors="truncate").t.tolist() == [10, 20]
    with pytest.warns(UserWarning, match="kept 3 events"):
        assert whole(path, errors="skip").t.tolist() == [10, 20, 40]


def test_bags_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="found topics of event cameras: none"):
        read(bag(tmp_path / "a.db3", GOOD, kind="sensor_msgs/msg/Image"))
    two = bag(tmp_path / "b.db3", GOOD, topics=2)
    with pytest.raises(FormatError, match=r"/camera0/events, /camera1/events; expected one; pass topic="):
        read(two)
    assert len(whole(two, topic="/camera1/events")) == 4
    with pytest.raises(FormatError, match="found no whole message"):
        read(bag(tmp_path / "c.db3", []))
    with pytest.raises(FormatError, match="found the encoding 'evt9'"):
        read(bag(tmp_path / "d.db3", [message(b"", "evt9")]))
    with pytest.raises(ShapeError, match="pass shape"):
        read(two, shape=(5,), topic="/camera0/events")
    with sqlite3.connect(tmp_path / "e.db3") as base:
        base.execute("CREATE TABLE topics(id, name, type)")
        endless = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k FROM n) SELECT k AS topic_id, k AS data FROM n"
        base.execute(f"CREATE VIEW messages AS {endless}")
    with pytest.raises(FormatError, match="this is no ROS 2 bag"):
        read(tmp_path / "e.db3")


def test_cut_and_damaged_bags_end_in_one_error(tmp_path: Path) -> None:
    path = bag(tmp_path / "a.db3", GOOD * 1 + [message(libcaer(*[(50, 1, 1, 1)] * 900))] * 9)
    data = path.read_bytes()
    for cut in (0, 1, 60, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(FormatError):
            read(path, format="rosbag")
    path.write_bytes(data + bytes(100))
    with pytest.raises(FormatError, match="the file is cut, or has bytes added"):
        read(path)
    rng = np.random.default_rng(0)
    for _ in range(150):
        wrong = bytearray(data)
        for k in rng.integers(0, min(len(data), 12_000), 3):
            wrong[k] = rng.integers(256)
        path.write_bytes(wrong)
        try:
            whole(path)
        except FormatError:
            continue


def test_mcap_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcap.reader", None)
    monkeypatch.setitem(sys.modules, "mcap", ModuleType("mcap"))
    (tmp_path / "a.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(40))
    with pytest.raises(FormatError, match="run pip install mcap"):
        read(tmp_path / "a.mcap")


def test_mcap_holds_the_same_messages(tmp_path: Path) -> None:
    writer_module = pytest.importorskip("mcap.writer")
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = writer_module.Writer(file)
        writer.start()
        schema = writer.register_schema("event_camera_msgs/msg/EventPacket", "ros2msg", b"")
        channel = writer.register_channel("/camera/events", "cdr", schema)
        for k, one in enumerate(GOOD):
            writer.add_message(channel, k, one, k)
        writer.finish()
    assert whole(tmp_path / "a.mcap").t.tolist() == [10, 20, 30, 40]
    data = (tmp_path / "a.mcap").read_bytes()
    (tmp_path / "a.mcap").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="cut or damaged"):
        read(tmp_path / "a.mcap")
