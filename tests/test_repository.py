"""The rules of the house that no other tool checks: sizes, names, `__all__`, imports, nothing unsafe."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "spikelab").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PUBLIC = [p for p in SOURCES if not any(re.match(r"_(?!_init__)", part) for part in p.relative_to(ROOT).parts)]

DEFINITION = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
MEDIAN_LINES, MOST_LINES, SMALL = 150, 500, 20
NO_NOUNS = {"common", "core", "helper", "helpers", "misc", "util", "utils"}
# Packages of the optional extras: a module built on one may be impossible to import here.
OPTIONAL = {"onnx", "pyNN", "tensorboard", "triton"}
DISTRIBUTION = {"sklearn": "scikit-learn", "pyNN": "pynn"}

UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle"}
ALLOWED_UNSAFE = {"spikelab/neurons/generated.py": ["exec"]}  # it runs the kernels that it has just written


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def refuse(offenders: list[str], rule: str) -> None:
    if offenders:
        pytest.fail(f"{rule}:\n  " + "\n  ".join(offenders), pytrace=False)


def exported(path: Path) -> list[str] | None:
    """The names in `__all__`, read without importing; None where there is none."""
    for node in tree(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return None


def isort_order(name: str) -> tuple[int, list[str | int]]:
    """CONSTANTS, then Classes, then functions, each in natural order: the order of ruff's RUF022."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute name and line of every module that is imported, also inside functions."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def test_files_are_short() -> None:
    counted = {p: lines(p) for p in SOURCES if p.name != "__init__.py" and lines(p) >= SMALL}
    median = statistics.median(counted.values())
    longest = sorted(counted, key=counted.__getitem__, reverse=True)
    longer = [f"{counted[p]:4d} {place(p)}" for p in longest if counted[p] > MEDIAN_LINES]
    if median > MEDIAN_LINES:
        refuse(longer, f"median of {len(counted)} files is {median} lines; expected at most {MEDIAN_LINES}; longer are")


def test_no_file_is_long() -> None:
    long = [f"{lines(p):4d} {place(p)}" for p in SOURCES + TESTS if lines(p) > MOST_LINES]
    refuse(long, f"files of more than {MOST_LINES} lines; split them by concept")


def test_no_module_is_named_after_nothing() -> None:
    bad = [
        place(p) for p in SOURCES if NO_NOUNS & {part.strip("_") for part in p.relative_to(ROOT).with_suffix("").parts}
    ]
    refuse(bad, "these names hide a missing noun; name the concept")


def test_every_public_module_says_what_is_public() -> None:
    refuse([place(p) for p in PUBLIC if exported(p) is None], "public modules without __all__")


def test_all_is_sorted() -> None:
    bad = []
    for path in PUBLIC:
        names = exported(path) or []
        if names != sorted(set(names), key=isort_order):
            bad.append(f"{place(path)}: expected {sorted(set(names), key=isort_order)}")
    refuse(bad, "__all__ is not sorted or not unique; run make format")


def test_all_is_complete() -> None:
    bad = []
    for path in PUBLIC:
        names = exported(path) or []
        for node in tree(path).body:
            is_public = isinstance(node, DEFINITION) and not node.name.startswith("_")
            if is_public and node.name not in names:
                bad.append(f"{place(path)}:{node.lineno} {node.name}")
    refuse(bad, "public by their name, but not in __all__; add them or begin them with an underscore")


def test_names_in_all_exist() -> None:
    bad = []
    for path in PUBLIC:
        try:
            module = importlib.import_module(module_name(path))
            bad += [f"{place(path)}: {name}" for name in exported(path) or [] if not hasattr(module, name)]
        except ImportError as error:
            if str(error.name).partition(".")[0] not in OPTIONAL:
                bad.append(f"{place(path)}: {error}")
    refuse(bad, "in __all__, but not in the module")


def test_names_in_all_are_documented() -> None:
    """Classes and functions by a docstring; constants by a string below, or a comment above or behind."""
    bad = []
    for path in PUBLIC:
        names, text = set(exported(path) or []), path.read_text(encoding="utf-8").splitlines()
        if not ast.get_docstring(tree(path)):
            bad.append(f"{place(path)}:1 the module")
        body = tree(path).body
        for k, node in enumerate(body):
            if isinstance(node, DEFINITION):
                if node.name in names and not ast.get_docstring(node):
                    bad.append(f"{place(path)}:{node.lineno} {node.name}")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                constants = {t.id for t in targets if isinstance(t, ast.Name)} & names - {"__version__"}
                below = body[k + 1] if k + 1 < len(body) else None
                has_string = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                above = text[node.lineno - 2].lstrip() if node.lineno > 1 else ""
                has_comment = above.startswith("#") or "#" in text[(node.end_lineno or node.lineno) - 1]
                if constants and not (has_string or has_comment):
                    bad.append(f"{place(path)}:{node.lineno} {', '.join(sorted(constants))}")
    refuse(bad, "public, but not documented")


def test_import_is_light() -> None:
    heavy = "import sys, spikelab; print(*{'torch', 'torchvision', 'norse', 'tonic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    refuse(done.stdout.split(), "`import spikelab` loads these; import them where they are used")


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lists = [project["dependencies"], *(extras[name] for name in extras if name != "dev")]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for one in lists for line in one}
    # No extra can name the peers: what they declare does not go together. `make bench-peers` installs them.
    peers = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints-peers.txt").read_text(encoding="utf-8"), re.M))
    bad = []
    for path in SOURCES:
        allowed = declared | peers if place(path).startswith("spikelab/bench/peers/") else declared
        for name, line in imports(path):
            top = name.partition(".")[0]
            known = top == "spikelab" or top in sys.stdlib_module_names
            if not known and DISTRIBUTION.get(top, top).lower() not in allowed:
                bad.append(f"{place(path)}:{line} {top}")
    refuse(bad, "imported in spikelab, but no dependency or extra in pyproject.toml, nor a peer in its bench")


def test_nothing_runs_what_a_file_says() -> None:
    """No pickle, no `torch.load`, no `eval`: opening a file must never run code."""
    bad = []
    for path in SOURCES:
        allowed = list(ALLOWED_UNSAFE.get(place(path), []))
        found = [(name, line) for name, line in imports(path) if name.partition(".")[0] in UNSAFE_MODULES]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
                pickles = any(
                    keyword.arg == "allow_pickle"
                    and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
                    for keyword in node.keywords
                )
                if name in UNSAFE_CALLS or pickles:
                    found.append((name, node.lineno))
        for name, line in found:
            if name in allowed:
                allowed.remove(name)
            else:
                bad.append(f"{place(path)}:{line} {name}")
    refuse(bad, "unsafe; read files as plain data")
