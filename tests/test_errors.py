import pickle
from pathlib import Path

import numpy as np
import pytest

import spikelab as sl
from spikelab import errors
from spikelab.errors import (
    FormatError,
    ShapeError,
    SpikelabError,
    UnitError,
    UnsupportedError,
    Violation,
    brief,
    unknown_name,
)
from spikelab.network import Network, Population, Projection
from spikelab.neurons import LI, LIF
from spikelab.ops import Linear

RULE = Violation("no_bias", "projection a->b", "a bias of 10 numbers", "none", "fold it into the threshold")


def test_every_error_is_one_of_ours_and_of_the_kind_python_has_for_it() -> None:
    kinds = {
        ShapeError: ValueError,
        UnitError: ValueError,
        FormatError: ValueError,
        UnsupportedError: NotImplementedError,
    }
    for error, builtin in kinds.items():
        assert issubclass(error, SpikelabError) and issubclass(error, builtin)
    assert set(errors.__all__) == {e.__name__ for e in kinds} | {"SpikelabError", "Violation", "brief", "unknown_name"}


def test_a_format_error_carries_path_and_offset() -> None:
    error = FormatError(Path("data") / "x.aedat4", "found 3 bytes; expected 16; fetch the file again", 1024)
    assert error.path == str(Path("data") / "x.aedat4") and error.offset == 1024
    assert str(error) == f"{error.path}, byte 1024: found 3 bytes; expected 16; fetch the file again"


def test_a_format_error_without_an_offset_names_the_path_alone() -> None:
    error = FormatError("x.nir", "found no nodes; expected some")
    assert error.offset is None and str(error) == "x.nir: found no nodes; expected some"
    assert FormatError("x", "y", 0).offset == 0 and "byte 0" in str(FormatError("x", "y", 0))


def test_a_violation_says_where_found_expected_rule_and_advice() -> None:
    assert str(RULE) == (
        "projection a->b: found a bias of 10 numbers; expected none (no_bias); fold it into the threshold"
    )


def test_an_unsupported_error_lists_all_violations() -> None:
    other = Violation("no_recurrence", "population b", "a loop", "none", "unroll it")
    error = UnsupportedError("Loihi refuses the network:", [RULE, other])
    assert error.violations == (RULE, other)
    assert str(error) == f"Loihi refuses the network:\n{RULE}\n{other}"
    assert str(UnsupportedError(violations=[RULE])) == str(RULE)
    assert UnsupportedError("no", iter([RULE])).violations == (RULE,)
    assert UnsupportedError("no").violations == () and str(UnsupportedError("no")) == "no"


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("atann", ["sigmoid", "atan"], "surrogate 'atann': unknown; known are atan, sigmoid; did you mean 'atan'?"),
        ("xyz", ["sigmoid", "atan"], "surrogate 'xyz': unknown; known are atan, sigmoid"),
        ("atan", [], "surrogate 'atan': unknown; known are none"),
        (3, ["a"], "surrogate 3: unknown; known are a"),
        (None, {"b": 1, "a": 2}, "surrogate None: unknown; known are a, b"),
    ],
)
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(name: object, known: list[str], text: str) -> None:
    error = unknown_name("surrogate", name, known)
    assert isinstance(error, UnsupportedError) and str(error) == text


@pytest.mark.parametrize(
    "error",
    [
        ShapeError("a"),
        UnitError("b"),
        FormatError("x.bin", "broken", 7),
        FormatError("x.bin", "broken"),
        UnsupportedError("no", [RULE]),
        UnsupportedError(violations=[RULE]),
    ],
)
def test_errors_survive_the_way_back_from_a_worker_process(error: SpikelabError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and str(back) == str(error)
    assert vars(back) == vars(error)


def test_what_holds_arrays_shows_shapes_and_no_numbers() -> None:
    big = np.random.default_rng(0).normal(size=(40, 50))
    projection = Projection("in", "out", (Linear(big),), delay=np.ones((40, 50), int))
    model = LIF(tau_mem=np.full(40, 0.0123456))
    net = Network(
        {"in": Population((50,), kind="input"), "out": Population((40,), model, initial={"v": np.full(40, 0.7654321)})},
        [projection],
        1e-3,
    )
    found = sl.run(net, np.ones((3, 1, 50)))
    whole = repr([net, *net.projections, *net.populations.values(), found, found.state, *projection.ops])
    assert "array([" not in whole and "0.0123456" not in whole and "0.7654321" not in whole
    for one in (net, found, found.state, projection, projection.ops[0], model, net.populations["out"]):
        assert repr(one).startswith(type(one).__name__ + "(") and len(repr(one)) < 400, repr(one)
    assert repr(net) == "Network(in (50,) input, out (40,) LIF; 1 projections, dt 0.001 s, exponential)"
    assert repr(projection.ops[0]) == "Linear(weight=float32 array (40, 50), bias=None)"
    assert repr(LI(tau_mem="5 ms")) == "LI(tau_mem=0.005, v_leak=0.0, input_gain='one')"
    with pytest.raises(UnsupportedError, match=r"with model LIF\(tau_mem=float64 array \(40,\)"):
        Population((40,), model, kind="input")
    with pytest.raises(UnitError, match=r"NaN or infinity in float64 array \(40,\)"):
        LIF(v_leak=np.full(40, np.nan))


def test_a_long_value_is_cut() -> None:
    assert len(brief(list(range(10**5)))) == len(brief("a" * 10**5)) == 400
