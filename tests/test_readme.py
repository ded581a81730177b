"""The README's Python runs as it stands, on the small packaged data set and for one epoch."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
FASTER = {'dataset("fsdd-spikes")': 'dataset("fsdd-spikes-mini")', "epochs=5": "epochs=1"}


def blocks(language: str) -> list[tuple[int, str]]:
    """Code blocks of the README with the line at which each begins."""
    text = README.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, m.start(1)), m[1]) for m in found]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, text in blocks("toml"):  # the first line names the file
        name = text.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(text, encoding="utf-8")
    parts = blocks("python")
    assert len(parts) >= 4
    whole = "".join(text for _, text in parts)
    assert all(slow in whole for slow in FASTER)
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)  # dataclasses look their module up
    names = vars(module)
    for line, text in parts:
        for slow, fast in FASTER.items():
            text = text.replace(slow, fast)
        text = text.replace("datasets/recordings/", f"{README.parent.as_posix()}/datasets/recordings/")
        exec(compile("\n" * line + text, str(README), "exec"), names)
    assert {"net", "run", "layer", "frames"} <= set(names)
    assert names["run"].spikes["out"].any()
    assert (tmp_path / "model.nir").is_file()
