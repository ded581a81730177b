"""Events over UDP: the layout byte by byte, what is lost counted, and what is no packet refused."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, Live, Receiver, datagrams
from spikelab.events.udp import parse


def some(count: int = 1000) -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 50_000, count))
    return Events.from_columns(t, *rng.integers(0, 20, (2, count)), rng.integers(0, 2, count), shape=(20, 20))


def test_a_datagram_written_by_hand_is_read() -> None:
    by_hand = b"SLEV" + bytes([1, 1]) + (2).to_bytes(2, "little") + (9).to_bytes(8, "little")
    by_hand += struct.pack("<qHHB3x", -5, 3, 4, 1) + struct.pack("<qHHB3x", 10**15, 19, 0, 0)
    sent, array, last = parse(by_hand, (20, 20))
    assert (sent, last) == (9, True)
    assert array.tolist() == [(-5, 3, 4, True), (10**15, 19, 0, False)]
    assert list(datagrams(Events(array, (20, 20)), sent=9, last=True)) == [by_hand]


@pytest.mark.parametrize("most", [1, 91, 4093])
def test_datagrams_hold_all_events_once(most: int) -> None:
    events = some(5000 if most > 1 else 50)
    found = [parse(d, events.shape) for d in datagrams(events, sent=7, most=most, last=True)]
    assert np.array_equal(np.concatenate([array for _, array, _ in found]), events.array)
    assert [sent for sent, _, _ in found] == list(range(7, 7 + len(events), most))
    assert [last for _, _, last in found] == [False] * (len(found) - 1) + [True]
    assert max(map(len, datagrams(events, most=most))) <= 65507
    nothing = Events.from_columns([], [], shape=(4,))
    assert list(datagrams(nothing)) == [] and len(list(datagrams(nothing, last=True))) == 1


GOOD = next(datagrams(some(3)))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "expected b'SLEV'"),
        (GOOD[:15], "expected b'SLEV'"),
        (b"AEDV" + GOOD[4:], "byte 0"),
        (GOOD[:4] + b"\2" + GOOD[5:], "version 2"),
        (GOOD[:5] + b"\2" + GOOD[6:], "flags 2"),
        (GOOD[:-1], "it is cut"),
        (GOOD + b"\0", "it is cut"),
        (GOOD[:24] + b"\x14" + GOOD[25:], "x\\[0\\] = 20"),
        (GOOD[:28] + b"\2" + GOOD[29:], "p\\[0\\] = 2"),
        (GOOD[:23] + b"\x7f" + GOOD[24:], "sorted"),
    ],
)
def test_what_is_no_packet_is_refused_with_the_byte(bad: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse(bad, (20, 20))


def test_every_event_that_is_sent_comes_through_a_live_source() -> None:
    events = some()
    with (
        Receiver(events.shape) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        Live(receiver, events.shape, "10 ms", full="wait") as live,
    ):
        for datagram in datagrams(events, last=True):
            sender.sendto(datagram, receiver.address)
        windows = list(live)
        assert (receiver.received, receiver.lost, receiver.refused) == (1000, 0, 0)
    assert np.array_equal(np.concatenate([w.events.array for w in windows]), events.array)


def test_what_is_lost_comes_late_or_is_foreign_is_counted() -> None:
    events = some(500)
    parts = list(datagrams(events, most=100, last=True))
    # 100 to 199 do not come in time; a foreign one; the second late; a sender that starts anew
    anew = next(datagrams(events, most=100))
    with Receiver(events.shape) as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in (parts[0], parts[2], b"hello", parts[1], parts[3], anew, parts[1], parts[4]):
            sender.sendto(datagram, receiver.address)
        found = list(receiver)
        assert receiver.refused == 2 and "hello" in receiver.reason
        assert receiver.lost == 100 + 200 and receiver.received == sum(map(len, found)) == 600
        with pytest.warns(UserWarning, match="300 events did not come, 2 datagrams were refused") as told:
            receiver.close()
    assert told[0].filename == __file__

    def listen() -> None:
        with Receiver(events.shape) as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for datagram in (b"hello", parts[4]):
                sender.sendto(datagram, receiver.address)
            list(receiver)

    with pytest.warns(UserWarning, match="0 events did not come, 1 datagrams were refused") as told:
        listen()
    assert told[0].filename == __file__


def test_a_closed_receiver_ends_and_a_taken_port_is_refused() -> None:
    with Receiver((4,)) as receiver:
        with pytest.raises(FormatError, match="free port"):
            Receiver((4,), port=receiver.address[1])
        assert receiver.address[0] == "127.0.0.1"
    assert list(receiver) == []
    with pytest.raises(FormatError, match="free port"):
        Receiver((4,), port=99_999)
    with pytest.raises(ShapeError):
        Receiver((4, 4, 4))
    with pytest.raises(ShapeError, match="most"):
        list(datagrams(some(), most=4094))
