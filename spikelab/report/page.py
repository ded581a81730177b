"""One self-contained HTML page: sections with text, facts, pictures and tables, readable on a desk and on a phone.

The page loads nothing and runs no script; a content security policy in its head holds it to that.
Pictures are vector graphics inside it (matplotlib turns thousands of marks into pixels within them).
They are drawn for a column of 340 to 470 CSS pixels, so that letters stay at 12 pixels or more on a
phone; wide tables scroll inside their own box. Equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import count
from os import PathLike
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikelab.errors import ShapeError
from spikelab.files import check_place, whole_file

__all__ = ["Picture", "Section", "escaped", "write_page"]

_WIDTH = 4.6  # inches, 331 points: one point is about one CSS pixel in a column of 340
_WRAPPED = 40  # characters; a longer cell of a table is wrapped
_BESIDE = 84  # characters of a table that fits beside a picture on a desk
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "axes.labelsize": 11.5,
    "axes.linewidth": 0.8,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.fontsize": 11.5,
    "text.usetex": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "spikelab",
    "hatch.linewidth": 0.8,
}
_CSS = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1a1a1a;font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:28px;line-height:1.25;margin:0 0 16px}
h2{font-size:21px;line-height:1.3;margin:40px 0 8px;padding-top:16px;border-top:1px solid #d5d5d5}
h1,h2,h3,p,li,dt,dd,figcaption{overflow-wrap:anywhere}
p{margin:8px 0;max-width:75ch}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:12px;margin:16px 0}
dl div{background:#f4f6f8;border-left:4px solid #0072b2;padding:10px 14px}
dt{font-size:14px;color:#4a4a4a}
dd{margin:2px 0 0;font-size:14px}
dd:nth-of-type(1){font-size:17px;font-weight:600}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:24px}
.pictures{margin:16px 0;align-items:start}
figure{margin:0;max-width:470px;min-width:0}
figure svg{display:block;width:100%;height:auto}
figure svg *{stroke-linejoin:round;stroke-linecap:butt}
figcaption{font-size:14px;color:#333;margin-top:6px}
.beside{display:grid;gap:0 48px;align-items:start;grid-template-columns:minmax(0,1fr)}
@media(min-width:900px){.beside{grid-template-columns:minmax(340px,380px) minmax(0,1fr)}}
.scroll{overflow-x:auto;margin:0 0 16px;position:relative}
table{border-collapse:collapse;font-size:14px}
.caption{font-size:14px;font-weight:600;margin:16px 0 4px}
th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid #e3e3e3;white-space:nowrap}
th{border-bottom:2px solid #8c8c8c;white-space:nowrap}
.w{white-space:normal;min-width:300px;max-width:560px;overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
h3{font-size:16px;margin:16px 0 4px}
ol{font-size:14px;padding-left:28px;margin:4px 0;max-width:110ch}
@media print{h2,figure{break-inside:avoid}}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_UNIT = re.compile(r"(?<=\d) (?=(?:[afpnµmkMG]?(?:J|W|s|V|Hz)|%)(?![\w%]))")  # a space that must not break
_NUMERIC = re.compile(r"^(?:[<>] )?[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: ?[%\w/²µ]{1,4})?$|^-?$")


@dataclass(frozen=True, eq=False)
class Picture:
    """A plot on a page.

    Args:
        caption: what it shows; also read out to those who cannot see it.
        draw: draws into a matplotlib Axes, e.g. `lambda ax: raster(ax, z, "1 ms")`.
        height: [inches] height; the width is always 4.6 inches.
    """

    caption: str
    draw: Callable[[Axes], None]
    height: float = 3.1


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page. Every text in it is shown as it is: `<b>` reads as `<b>`.

    Args:
        title: its heading; empty for none.
        text: paragraphs.
        facts: names and values, shown large; after a line break in a value the rest is small.
        pictures: plots, side by side where there is room.
        tables: rows by caption; each row maps the same column names to cells.
        notes: numbered notes beneath, counted from 1.

    Example:
        >>> Section("Layers", tables={"Populations": [{"name": "hidden", "neurons": 128}]}).title
        'Layers'
    """

    title: str
    text: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    tables: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_page(path: str | PathLike[str], title: str, sections: Sequence[Section]) -> None:
    """Write a self-contained HTML page; an older file stays untouched until the new one is complete.

    Args:
        path: file to write; its folder must exist.
        title: heading of the page.
        sections: parts in their order, at least one.

    Raises:
        FormatError: the folder is missing, `path` is a folder, or the system refuses to write there.
        ShapeError: no section, or the rows of a table have different columns.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(f"{folder}/page.html", "A page", [Section("Hello", text=["world"])])
        ...     len(Path(folder, "page.html").read_text().split("world"))
        2
    """
    check_place(path)
    if not sections:
        raise ShapeError("write_page: sections: found none; expected at least one Section; put the content into one")
    numbers = count(1)
    body = "".join(_section(section, numbers) for section in sections)
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<main>\n<h1>{escaped(title)}</h1>\n{body}"
        "</main>\n</body>\n</html>\n"
    )
    with whole_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def escaped(value: object) -> str:
    """Escaped text, without the control characters that HTML forbids."""
    return escape("".join(c if c.isprintable() or c in "\n\t " else "\ufffd" for c in str(value)))


def _prose(value: object) -> str:
    """Escaped text in which numbers keep their units beside them."""
    return _UNIT.sub("\u00a0", escaped(value))


def _section(s: Section, numbers: Iterator[int]) -> str:
    parts = [f"<h2>{escaped(s.title)}</h2>\n"] if s.title else []
    if s.facts:
        facts = "".join(f"<div><dt>{escaped(name)}</dt>{_fact(value)}</div>\n" for name, value in s.facts.items())
        parts.append(f"<dl>\n{facts}</dl>\n")
    parts += [f"<p>{_prose(p)}</p>\n" for p in ([s.text] if isinstance(s.text, str) else s.text)]
    if s.pictures:
        pictures = "".join(_picture(p, next(numbers)) for p in s.pictures)
        parts.append(f'<div class="pictures">\n{pictures}</div>\n')
    tables = "".join(_table(caption, rows) for caption, rows in s.tables.items())
    if len(s.pictures) == 1 and s.tables and max(map(_characters, s.tables.values())) <= _BESIDE:
        parts[-1] = f'<div class="beside">\n{parts[-1]}<div>\n{tables}</div>\n</div>\n'
    else:
        parts.append(tables)
    if s.notes:
        parts.append(
            "<h3>Sources and notes</h3>\n<ol>\n" + "".join(f"<li>{escaped(n)}</li>\n" for n in s.notes) + "</ol>\n"
        )
    return "<section>\n" + "".join(parts) + "</section>\n"


def _fact(value: object) -> str:
    return "".join(f"<dd>{_prose(line)}</dd>" for line in str(value).splitlines() or [""])


def _picture(picture: Picture, number: int) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, picture.height), layout="constrained")
        picture.draw(figure.add_subplot())
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", dpi=220, metadata=nothing)
    svg = _svg(out.getvalue(), f"p{number}-", picture.caption)
    return f"<figure>\n{svg}\n<figcaption>{escaped(picture.caption)}</figcaption>\n</figure>\n"


def _svg(source: str, prefix: str, caption: str) -> str:
    """The <svg> of a matplotlib file for use inside HTML: no prolog, names unique on the page, no fixed size."""
    svg = source[source.index("<svg") :].strip()
    svg = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r'\b(id|href)="(#?)(?!data:)', rf'\1="\2{prefix}', svg).replace("url(#", f"url(#{prefix}")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'<svg {box[0] if box else ""} role="img" aria-label="{escaped(caption)}">'
    svg = head + svg[svg.index(">") + 1 :]
    return re.sub(r"\s*\n\s*", "\n", svg)


def _characters(rows: Sequence[Mapping[str, object]]) -> int:
    """Width of a table in characters, cells that are wrapped counted as wrapped."""
    widths = {c: max(len(str(c)), *(min(len(str(r.get(c))), _WRAPPED) for r in rows)) for r in rows[:1] for c in r}
    return sum(widths.values()) + 2 * len(widths)


def _table(caption: str, rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return f"<p>{escaped(caption)}: none.</p>\n"
    columns = list(rows[0])
    for k, row in enumerate(rows):
        if list(row) != columns:
            raise ShapeError(
                f"table {caption!r}, row {k}: found columns {list(row)}; expected {columns}; give all rows the same"
            )
    numeric = {c for c in columns if all(_NUMERIC.match(str(r[c])) for r in rows)}

    def cell(tag: str, column: str, value: object) -> str:
        kind = ' class="n"' if column in numeric else ' class="w"' if tag == "td" and len(str(value)) > _WRAPPED else ""
        return f"<{tag}{kind}>{escaped(value)}</{tag}>"

    head = "".join(cell("th", c, c) for c in columns)
    body = "".join("<tr>" + "".join(cell("td", c, r[c]) for c in columns) + "</tr>\n" for r in rows)
    name = escaped(caption)
    return (
        f'<p class="caption">{name}</p>\n<div class="scroll" role="region" aria-label="{name}" tabindex="0">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
