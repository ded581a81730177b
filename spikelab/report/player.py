"""A page that plays a recording: one HTML file with the events inside, which loads nothing.

A content security policy in its head allows no request and no script but the player's own, known by its hash. Events
are 8 bytes each (time and address, 32 bits each, in base64). Of a long recording a part of the events is shown, evenly
in their order, and the page says so; the rate plot always counts all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events
from spikelab.events.chunks import shape_of
from spikelab.events.source import BLOCK, Source
from spikelab.files import whole_file
from spikelab.report.page import escaped

__all__ = ["write_player"]

_BINS: Final = 600
_MOST_CELLS: Final = 1 << 31
_BESIDE: Final = {"triggers": "triggers", "imu": "IMU samples", "frames": "frames"}
_CSS = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1a1a1a;font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:16px}
h1{font-size:22px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
p{margin:4px 0 12px;max-width:90ch;color:#333;font-size:14px;overflow-wrap:anywhere}
p.thin{background:#fff4d6;border-left:4px solid #e69f00;padding:8px 12px;color:#1a1a1a}
canvas{display:block;image-rendering:pixelated}
#sensor{margin:0 auto;border:1px solid #8c8c8c;box-sizing:content-box}
#rate{width:100%;height:90px;margin:8px 0 0;cursor:pointer;touch-action:none}
#scrub{width:100%;margin:6px 0}
.row{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:center;font-size:14px;margin:6px 0}
.row label{display:flex;gap:6px;align-items:center}
button{font:inherit;min-width:88px;padding:6px 14px;border:1px solid #0072b2;background:#0072b2;color:#fff}
button{border-radius:4px;cursor:pointer}
input[type=color]{width:36px;height:28px;padding:1px}
output{font-variant-numeric:tabular-nums;display:inline-block;min-width:4.5em}
"""
_BODY = """
<div id="stage"><canvas id="sensor" role="img" aria-label="events in the window"></canvas></div>
<canvas id="rate" role="img" aria-label="event rate over time; click to go there"></canvas>
<input id="scrub" type="range" min="0" max="10000" value="0" aria-label="time">
<div class="row">
<button id="play" type="button">Play</button>
<label>Speed <input id="speed" type="range" min="-500" max="100"> <output id="speedText"></output></label>
<label>Window <input id="window" type="range"> <output id="windowText"></output></label>
<label>Loop <input id="loop" type="checkbox" checked></label>
<label>ON <input id="on" type="color" value="#e69f00"></label>
<label>OFF <input id="off" type="color" value="#56b4e9"></label>
<label>Background <input id="back" type="color" value="#14181d"></label>
</div>
<div class="row"><span>Time <output id="now"></output></span><span>Events in the window
<output id="inside"></output></span><span>ON <output id="ons"></output></span><span>OFF
<output id="offs"></output></span><span>Space plays and pauses, arrows step by a window.</span></div>
"""


def write_player(
    recording: Events | Source, path: str | PathLike[str], title: str = "Events", most: int = 400_000
) -> dict[str, Any]:
    """Write a page that plays events, with speed, window, colours and the event rate.

    The recording is read twice, in bounded memory.

    Args:
        recording: events, or a source of them.
        path: page to write.
        title: its heading.
        most: events on the page, 11 bytes each; of a recording with more, that many are shown, evenly in their
            order, and the page says so.

    Returns:
        `count`, `shown`, `duration_us`, `t_first_us` (None without events), `width`, `height`, `tick_us`, and
        `beside`, numbers of triggers, IMU samples and frames, where the file has any.

    Raises:
        ShapeError: a sensor of more than 2**31 pixels, or `most` below 1.
        FormatError: the place cannot be written to, or the recording is damaged.

    Example:
        >>> import tempfile
        >>> events = Events.from_columns(t=[0, 900, 1500], x=[3, 4, 4], y=[1, 1, 2], p=[1, 0, 1], shape=(8, 6))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     facts = write_player(events, f"{folder}/page.html", most=2)
        >>> facts["count"], facts["shown"]
        (3, 2)
    """
    if not is_whole(most) or most < 1:
        raise ShapeError(f"write_player: found most={most!r}; expected a whole number above 0; pass 400_000, say")
    shape = shape_of(recording) if not isinstance(recording, Events) else recording.shape
    width, height = shape if len(shape) == 2 else (shape[0], 1)
    if width * height > _MOST_CELLS:
        raise ShapeError(f"write_player: found {width} x {height} pixels; expected at most 2**31; cut a part out")
    count, first, last = 0, 0, 0
    for block in _blocks(recording):
        first = int(block["t"][0]) if not count else first
        last, count = int(block["t"][-1]), count + len(block)
    duration, shown = last - first, min(count, most)
    tick = duration // (2**32 - 1) + 1
    words = np.zeros((2, shown), "<u4")
    bin_us = duration // _BINS + 1
    bins = np.zeros((duration // bin_us + 1, 2), np.int64)
    chosen = (np.arange(1, shown + 1) * count + shown - 1) // max(shown, 1) - 1  # evenly in their order, the last too
    at = put = 0
    for block in _blocks(recording):
        t = block["t"] - first
        bins += np.bincount(t // bin_us * 2 + block["p"], minlength=bins.size).reshape(bins.shape)
        kept = chosen[put : np.searchsorted(chosen, at + len(block))] - at
        part = block[kept]
        words[0, put : put + len(part)] = t[kept] // tick
        words[1, put : put + len(part)] = (part["y"].astype(np.int64) * width + part["x"]) * 2 + part["p"]
        at, put = at + len(block), put + len(part)
    facts: dict[str, Any] = {
        "count": count,
        "shown": shown,
        "duration_us": duration,
        "t_first_us": first if count else None,
        "width": width,
        "height": height,
        "tick_us": tick,
    }
    if not isinstance(recording, Events):
        beside = {n: len(v) for n, v in recording.extras()._asdict().items() if n != "frame_times" and len(v)}
        facts |= {"beside": beside} if beside else {}
    data = {**facts, "bin_us": bin_us, "off": bins[:, 0].tolist(), "on": bins[:, 1].tolist()}
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_page(title, data, words))
    return facts


def _blocks(recording: Events | Source) -> Iterator[NDArray[np.void]]:
    if isinstance(recording, Events):
        return (recording.array[k : k + BLOCK] for k in range(0, len(recording), BLOCK))
    return (block for block in recording.blocks() if len(block))


def _page(title: str, facts: dict[str, Any], words: NDArray[np.uint32]) -> str:
    script = resources.files("spikelab.report").joinpath("player.js").read_text("utf-8")
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{known}'"
    data = json.dumps(facts, separators=(",", ":"))
    packed = base64.b64encode(words.tobytes()).decode()
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<main>\n<h1>{escaped(title)}</h1>\n"
        f"{_words(facts)}{_BODY}</main>\n"
        f'<script type="application/json" id="facts">{data}</script>\n'
        f'<script type="text/plain" id="events">{packed}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _words(facts: dict[str, Any]) -> str:
    """What the page says of the recording, and of what it leaves out."""
    count, shown, tick = facts["count"], facts["shown"], facts["tick_us"]
    sensor = f"{facts['width']} x {facts['height']} pixels" if facts["height"] > 1 else f"{facts['width']} channels"
    if not count:
        return f"<p>{sensor}; no events.</p>\n"
    rate = f", {count * 1e6 / facts['duration_us']:,.0f} events/s" if facts["duration_us"] else ""
    text = (
        f"<p>{count:,} events in {facts['duration_us'] / 1e6:.6g} s{rate}; {sensor}; the first event is at "
        f"{facts['t_first_us']:,} us of the file. The picture shows the last event of each pixel within the window."
        "</p>\n"
    )
    less = []
    if shown < count:
        less.append(
            f"Thinned: the picture shows {shown:,} of {count:,} events ({shown / count:.2%}, evenly in their order); "
            "its counts are of those. The rate plot counts all events."
        )
    if beside := facts.get("beside"):
        parts = ", ".join(f"{number:,} {_BESIDE[name]}" for name, number in beside.items())
        less.append(f"Beside its events the file holds {parts}; the page does not show them.")
    if tick > 1:
        less.append(f"Times in the picture are rounded down to {tick} us.")
    return text + "".join(f'<p class="thin">{one}</p>\n' for one in less)
