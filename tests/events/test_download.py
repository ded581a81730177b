"""Downloads from a server in a thread of this process; no network."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events.download import download, verify

DATA = np.random.default_rng(5).bytes(300_000)
SHA, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()


class Server(BaseHTTPRequestHandler):
    """`/good`, `/noranges` (always all of it), `/breaks` (100,000 bytes an answer), `/stuck`, `/other`, else 404.

    `/stalls` gives 10,000 bytes an answer and then says nothing more.
    """

    over: ClassVar[threading.Event] = threading.Event()
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        data = {"/other": b"something else"}.get(self.path, DATA)
        if self.path not in ("/good", "/noranges", "/breaks", "/other", "/breaks-noranges", "/stuck", "/stalls"):
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and "noranges" not in self.path else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        most = 100_000 if self.path.startswith("/breaks") else 0 if self.path == "/stuck" else len(data)
        self.wfile.write(data[start : start + (10_000 if self.path == "/stalls" else most)])
        if self.path == "/stalls":
            self.over.wait(60)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Server.asked.clear()
    Server.over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("page", ["good", "noranges", "breaks"])
@pytest.mark.parametrize("expected", [SHA, MD5, ""])
def test_a_file_arrives_whole(page: str, expected: str, site: str, tmp_path: Path) -> None:
    seen: list[int] = []
    download([f"{site}/{page}"], tmp_path / "sub" / "a.bin", expected, progress=lambda done, total: seen.append(done))
    assert (tmp_path / "sub" / "a.bin").read_bytes() == DATA and left(tmp_path / "sub") == ["a.bin"]
    assert seen[-1] == len(DATA)
    if page == "breaks":
        assert [wanted for _, wanted in Server.asked] == [None, "bytes=100000-", "bytes=200000-"]
    download([f"{site}/{page}"], tmp_path / "sub" / "a.bin", expected)
    assert len(Server.asked) == (3 if page == "breaks" else 1), "a file that is there is not fetched again"


def part(folder: Path) -> Path:
    return folder / f".a.bin.{SHA[:16]}.part"


@pytest.mark.parametrize(("page", "have"), [("good", 1000), ("noranges", 1000), ("good", len(DATA))])
def test_what_a_killed_process_left_is_gone_on_with(page: str, have: int, site: str, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(DATA[:have])
    download([f"{site}/{page}"], tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == DATA and left(tmp_path) == ["a.bin"]
    assert Server.asked == [(f"/{page}", f"bytes={have}-")]


@pytest.mark.parametrize("size", [1000, len(DATA) + 10])
def test_the_part_of_another_file_is_fetched_anew(size: int, site: str, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(b"x" * size)
    download([f"{site}/good"], tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == DATA and len(Server.asked) == 2


def test_mirrors_are_tried_in_turn(site: str, tmp_path: Path) -> None:
    download([f"{site}/missing", f"{site}/other", f"{site}/good"], tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert [page for page, _ in Server.asked] == ["/missing", "/other", "/good"]


def test_every_mirror_that_failed_is_named(site: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        download(
            [f"{site}/missing", f"{site}/other", f"{site}/stuck", "http://127.0.0.1:9/none"], tmp_path / "a.bin", SHA
        )
    text = str(caught.value)
    for said in (
        f"{site}/missing: HTTP 404",
        f"{site}/other: found sha256 ",
        f"expected {SHA[:16]}...",
        f"{site}/stuck: ConnectionError: found 0 of 300000 bytes",
        "http://127.0.0.1:9/none: ConnectionRefusedError",
        "put the file there by hand",
    ):
        assert said in text
    assert not (tmp_path / "a.bin").exists()


def test_a_broken_download_is_kept_for_the_next_mirror(site: str, tmp_path: Path) -> None:
    # Each answer of the first starts at 0 and ends at 100,000: it never gets further.
    download([f"{site}/breaks-noranges", f"{site}/good"], tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert Server.asked[-1] == ("/good", "bytes=100000-")


def test_a_server_that_stalls_is_left_for_the_next_mirror(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikelab.events.download._BLOCK", 5_000)
    download([f"{site}/stalls", f"{site}/good"], tmp_path / "a.bin", SHA, timeout_s=0.3)
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert Server.asked == [("/stalls", None), ("/stalls", "bytes=10000-"), ("/good", "bytes=20000-")]
    # The last one is asked as long as it gives more.
    (tmp_path / "b").mkdir()
    Server.asked.clear()
    part(tmp_path / "b").write_bytes(DATA[:250_000])
    download([f"{site}/stalls"], tmp_path / "b" / "a.bin", SHA, timeout_s=0.3)
    assert len(Server.asked) == 5


def test_a_file_of_another_checksum_is_refused_and_kept(site: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(FormatError, match=r"found sha256 .*delete the file"):
        download([f"{site}/good"], tmp_path / "a.bin", SHA)
    assert (tmp_path / "a.bin").read_bytes() == b"mine" and not Server.asked


def test_odd_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="expected http, https or file"):
        download(["ftp://somewhere/a"], tmp_path / "a")
    with pytest.raises(FormatError, match="no address is known"):
        download([], tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(UnsupportedError, match="expected 32 or 64 hex digits"):
        verify(tmp_path / "b", "abc")


@pytest.mark.parametrize("expected", ["abc", "g" * 64, "0" * 40])
def test_the_form_of_a_checksum_is_looked_at_before_anything_is_fetched(
    expected: str, site: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match="expected 32 or 64 hex digits"):
        download([f"{site}/good"], tmp_path / "a", expected)
    assert not Server.asked and not list(tmp_path.iterdir())
