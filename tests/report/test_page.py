"""The page as a file: it needs nothing else, shows every text as it is, and is whole or not there."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from spikelab.errors import FormatError, ShapeError
from spikelab.report import Picture, Section, write_page

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, addresses and names; notes what is not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name.split(":")[-1] in ("src", "href", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(tmp_path: Path, *sections: Section, title: str = "T") -> str:
    write_page(tmp_path / "page.html", title, sections)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["demo", "many", "silent", "five"])
def test_a_page_needs_nothing_else(pages: dict[str, Path], name: str) -> None:
    text = pages[name].read_text(encoding="utf-8")
    page = Reader(text)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "a", "base"} & set(page.tags)
    assert all(a.startswith(("#", "data:image/png;base64,")) for a in page.addresses)
    assert not re.search(r"@import|url\((?!#)|\son\w+=", text)
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", ["demo", "many", "silent", "five"])
def test_names_inside_pictures_are_used_once_and_found(pages: dict[str, Path], name: str) -> None:
    page = Reader(pages[name].read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)


def test_pages_stay_below_a_megabyte(pages: dict[str, Path]) -> None:
    assert max(p.stat().st_size for p in pages.values()) < 1_000_000


def test_every_text_is_shown_as_it_is(tmp_path: Path) -> None:
    nasty = "<img src=x onerror=alert(1)> & \"quotes\" 'single' </svg></style>"
    picture = Picture(nasty, lambda ax: None)
    rows = {nasty: [{nasty: nasty}]}
    section = Section(nasty, text=[nasty], facts={nasty: nasty}, pictures=[picture], tables=rows, notes=[nasty])
    text = written(tmp_path, section, title=nasty)
    page = Reader(text)
    assert page.open == []
    assert "img" not in page.tags
    assert text.count("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quotes&quot; &#x27;single&#x27;") == 13


def test_control_characters_and_half_characters_are_written_so_that_they_can_be_read(tmp_path: Path) -> None:
    text = written(tmp_path, Section("a\0b", text=["half \ud800 of a pair"]))
    assert "a\ufffdb" in text
    assert "half \ufffd of a pair" in text


def test_what_is_drawn_lies_in_the_picture_and_user_text_is_no_markup(tmp_path: Path) -> None:
    def draw(ax: Axes) -> None:
        ax.plot([0, 1], [0, 1])
        ax.set_xlabel("<b> -- & ]]>")

    page = Reader(written(tmp_path, Section("", pictures=[Picture("c", draw)])))
    assert page.open == []
    assert "b" not in page.tags
    assert page.tags.count("svg") == 1


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    section = Section("S", pictures=[Picture("c", lambda ax: ax.set_xlabel("x") and None)])
    assert written(tmp_path, section) == written(tmp_path, section)


def test_style_outside_does_not_change_the_page(tmp_path: Path) -> None:
    import matplotlib as mpl

    section = Section("S", pictures=[Picture("c", lambda ax: ax.set_xlabel("x") and None)])
    expected = written(tmp_path, section)
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "none"}):
        assert written(tmp_path, section) == expected
    before = dict(mpl.rcParams)
    written(tmp_path, section)
    assert dict(mpl.rcParams) == before


def test_numbers_stand_to_the_right_and_texts_to_the_left(tmp_path: Path) -> None:
    rows = [
        {"count": "1,234", "energy": "2.5 nJ", "share": "< 0.1 %", "name": "1st"},
        {"count": 7, "energy": "-", "share": "-", "name": "b"},
    ]
    text = written(tmp_path, Section("", tables={"t": rows}))
    assert [c for c in rows[0] if f'<th class="n">{c}</th>' in text] == ["count", "energy", "share"]


def test_an_empty_table_says_none(tmp_path: Path) -> None:
    assert "<p>Layers: none.</p>" in written(tmp_path, Section("", tables={"Layers": []}))


def test_rows_with_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"table 't', row 1: found columns \['b'\]; expected \['a'\]"):
        written(tmp_path, Section("", tables={"t": [{"a": 1}, {"b": 2}]}))


def test_a_page_without_sections_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="found none"):
        written(tmp_path)


def test_a_missing_folder_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="make it first"):
        write_page(
            tmp_path / "no" / "page.html", "T", [Section("", pictures=[Picture("c", lambda ax: pytest.fail("drawn"))])]
        )
    with pytest.raises(FormatError, match="is a folder; expected the name of a file"):
        write_page(tmp_path, "T", [Section("")])


def test_an_older_page_survives_a_plot_that_fails(tmp_path: Path) -> None:
    def fails(ax: Axes) -> None:
        raise ShapeError("no")

    before = written(tmp_path, Section("old"))
    with pytest.raises(ShapeError, match="no"):
        write_page(tmp_path / "page.html", "T", [Section("", pictures=[Picture("c", fails)])])
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == before
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(a: object, b: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("spikelab.files.os.replace", refuse)
    with pytest.raises(FormatError, match=r"cannot be written \(Permission denied\)"):
        written(tmp_path, Section("new"))
    assert os.listdir(tmp_path) == []
