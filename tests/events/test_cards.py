"""The cards of the data sets: complete, true to their files, within the sizes that were promised."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATASETS, PACKAGED = ROOT / "datasets", ROOT / "spikelab" / "data"
CARDS = [*sorted(DATASETS.glob("*/card.toml")), *sorted(PACKAGED.glob("*.toml"))]
TEXTS = [
    "name",
    "title",
    "kind",
    "description",
    "source",
    "licence",
    "licence_url",
    "attribution",
    "citation",
    "bundled",
]
MB = 10**6


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def _checkout() -> None:
    if not DATASETS.is_dir():
        pytest.skip("datasets/ is not here: this is no checkout")


@pytest.mark.parametrize("path", CARDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_card_is_complete(path: Path) -> None:
    card = load(path)
    assert card["name"] == (path.parent.name if path.name == "card.toml" else path.stem)
    for key in TEXTS:
        assert isinstance(card[key], str) and card[key].strip(), key
    assert {"shape", "description"} <= set(card["sensor"])
    assert card["split"] and isinstance(card["classes"], list) and ("files" in card) != ("archives" in card)
    for file in [*card.get("files", []), *card.get("full", [])]:
        assert re.fullmatch(r"[0-9a-f]{64}", file["sha256"]), file["path"]
        assert file["bytes"] > 0 and file["format"]
        if card["licence"] == "see each file":
            for key in ("sensor", "contents", "source", "licence", "licence_url", "attribution", "citation"):
                assert file[key].strip(), (file["path"], key)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_have_their_checksums(path: Path) -> None:
    card = load(path)
    folder = path.parent
    if folder == PACKAGED and "mini_of" not in card:
        return  # its files are not in the package
    for file in card["files"]:
        data = (folder / file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])


def test_simulation_is_said_plainly() -> None:
    assert {card["kind"] for path in PACKAGED.glob("*.toml") if "files" in (card := load(path))} == {
        "real speech, simulated cochlea",
        "simulated saccades over real MNIST",
    }


@pytest.mark.usefixtures("_checkout")
def test_the_package_has_the_cards_of_the_repository() -> None:
    for name in ("fsdd-spikes", "nmnist-sim"):
        assert (PACKAGED / f"{name}.toml").read_bytes() == (DATASETS / name / "card.toml").read_bytes()


@pytest.mark.usefixtures("_checkout")
def test_each_set_has_a_readme_with_its_licence() -> None:
    for path in DATASETS.glob("*/card.toml"):
        text = (path.parent / "README.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {path.parent.name}\n")
        assert "CC BY-SA" in text


@pytest.mark.usefixtures("_checkout")
def test_the_sets_are_small() -> None:
    assert size(DATASETS / "fsdd-spikes") + size(DATASETS / "nmnist-sim") <= 12 * MB
    assert size(DATASETS) <= 15 * MB


def test_the_package_is_small() -> None:
    assert size(PACKAGED) <= MB


@pytest.mark.usefixtures("_checkout")
def test_every_file_is_on_a_card() -> None:
    listed = {path.parent / file["path"] for path in CARDS for file in load(path).get("files", [])}
    known = {".toml", ".md", ".py", ".txt"}
    data = {p for folder in (DATASETS, PACKAGED) for p in folder.rglob("*") if p.is_file() and p.suffix not in known}
    assert {path for path in data if "__pycache__" not in path.parts} <= listed
