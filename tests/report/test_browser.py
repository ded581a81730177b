"""The page in a real browser: nothing is cut, nothing overlaps, letters have at least 12 pixels.

The script that looks is put into a copy; the page itself has none, and forbids it.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1280, 500, 400)
LOOK = r"""
const found = {width: innerWidth, page: document.scrollingElement.scrollWidth, pictures: 0};
found.cut = []; found.overlap = []; found.small = [];
const name = e => e.tagName + " " + (e.id || "") + " " + (e.textContent || "").trim().slice(0, 40);
const boxed = e => e.closest(".scroll") && !e.classList.contains("scroll");
for (const e of document.querySelectorAll("main *")) {
  if (e.closest("svg") && e.tagName != "svg" || boxed(e)) continue;
  const r = e.getBoundingClientRect();
  if (r.right > innerWidth + 0.5 || r.left < -0.5) found.cut.push("outside " + name(e));
  const holder = e.classList.contains("scroll") || e.tagName == "svg";
  if (!holder && e.scrollWidth > e.clientWidth + 1 && e.clientWidth) found.cut.push("overflows " + name(e));
  if (parseFloat(getComputedStyle(e).fontSize) < 12) found.small.push(name(e));
}
for (const td of document.querySelectorAll("td, th")) {
  if (td.scrollWidth > td.clientWidth + 1) found.cut.push("cell " + name(td));
  if (parseFloat(getComputedStyle(td).fontSize) < 12) found.small.push(name(td));
}
const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
                       Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
const blocks = [...document.querySelectorAll("main > h1, section > *, dl > div, figure, .scroll")];
for (let i = 0; i < blocks.length; i++) for (let j = i + 1; j < blocks.length; j++) {
  if (blocks[i].contains(blocks[j]) || blocks[j].contains(blocks[i])) continue;
  if (meet(blocks[i].getBoundingClientRect(), blocks[j].getBoundingClientRect()))
    found.overlap.push(name(blocks[i]) + " / " + name(blocks[j]));
}
for (const svg of document.querySelectorAll("svg")) {
  found.pictures++;
  const all = svg.getBoundingClientRect(), label = svg.getAttribute("aria-label").slice(0, 30);
  const points = 11.5 * all.width / svg.viewBox.baseVal.width;
  if (points < 12) found.small.push(label + ": " + points);
  const texts = [...svg.querySelectorAll("g[id*='text_']")].filter(t => t.getBoundingClientRect().width);
  const boxes = texts.map(t => t.getBoundingClientRect());
  boxes.forEach((b, i) => {
    if (b.left < all.left - 0.5 || b.right > all.right + 0.5 || b.top < all.top - 0.5 || b.bottom > all.bottom + 0.5)
      found.cut.push(label + " " + texts[i].id);
    boxes.slice(i + 1).forEach((c, k) => {
      if (meet(b, c)) found.overlap.push(label + " " + texts[i].id + " / " + texts[i + 1 + k].id);
    });
  });
}
parent.postMessage(found, "*");
"""


FRAMES = """<!DOCTYPE html><body><script>
addEventListener("message", e => {
  const out = document.createElement("pre");
  out.className = "found";
  out.textContent = JSON.stringify(e.data);
  document.body.appendChild(out);
});
</script>
"""


def looked_at(page: Path, folder: Path) -> dict[int, dict[str, Any]]:
    """What the browser finds, by width; frames, as a window has at least 500 pixels."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    (folder / "copy.html").write_text(text.replace("</body>", f"<script>{LOOK}</script></body>"), encoding="utf-8")
    frames = "".join(f'<iframe src="copy.html" width="{w}" height="3000" frameborder="0"></iframe>' for w in WIDTHS)
    (folder / "frames.html").write_text(FRAMES + frames, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --window-size=1400,2000 "
        f"--virtual-time-budget=20000 --dump-dom --user-data-dir={folder / 'profile'}"
    )
    assert BROWSER is not None
    command = [BROWSER, *flags.split(), (folder / "frames.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = [
        json.loads(html.unescape(t)) for t in re.findall(r'<pre class="found">(.*?)</pre>', done.stdout, re.DOTALL)
    ]
    assert sorted(f["width"] for f in found) == sorted(WIDTHS), done.stderr
    return {f["width"]: f for f in found}


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("name", ["demo", "many", "silent", "five"])
def test_nothing_is_cut_overlaps_or_is_too_small(pages: dict[str, Path], name: str, tmp_path: Path) -> None:
    for width, found in looked_at(pages[name], tmp_path).items():
        assert found["page"] <= width
        assert found["pictures"] > 3
        assert (width, found["cut"], found["overlap"], found["small"]) == (width, [], [], [])


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_look_finds_what_is_wrong(pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["demo"].read_text(encoding="utf-8")
    wide = '<p style="white-space:nowrap;font-size:9px">' + "wide " * 900 + "</p>"
    bad = text.replace("</h1>", f"</h1>{wide}", 1).replace("figure{margin:0", "figure{margin:-90px 0", 1)
    (tmp_path / "bad.html").write_text(bad, encoding="utf-8")
    found = looked_at(tmp_path / "bad.html", tmp_path)[400]
    assert found["page"] > 400
    assert all(found[k] for k in ("cut", "overlap", "small"))
