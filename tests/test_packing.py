import json
import math
import struct
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mdlm.features.base import SelectedColumns
from mdlm.packing import pack, unpack
from mdlm.partition.grid import Grid
from mdlm.partition.wells import Wells
from mdlm.recrossing.core_set_density import CoreSetDensity
from mdlm.recrossing.effect import effect
from mdlm.trajectory import Dtraj, Split, Trajectory

Pair = namedtuple("Pair", "first second")


@dataclass(frozen=True)
class Node:
    """A dataclass of a user's own."""

    value: object
    next: object = None
    length: int = field(init=False, default=0)

    def __post_init__(self):
        object.__setattr__(self, "length", 1 + getattr(self.next, "length", 0))

    class Inner:
        """Not a dataclass."""


def through_json(value, trusted=(__name__,)):
    arrays, description = pack(value)
    return unpack(arrays, json.loads(json.dumps(description, allow_nan=False)), trusted)


def assert_same(found, expected):
    """The same types all the way down, and the same bits."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray | np.generic):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, float):
        assert struct.pack(">d", found) == struct.pack(">d", expected)
    elif isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for item, other in zip(found, expected, strict=True):
            assert_same(item, other)
    elif isinstance(expected, dict):
        assert_same(list(found.items()), list(expected.items()))
    elif is_dataclass(expected):
        for entry in fields(expected):
            assert_same(getattr(found, entry.name), getattr(expected, entry.name))
    else:
        assert found == expected


dtypes = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="="),
    npst.unsigned_integer_dtypes(endianness="="),
    npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    npst.complex_number_dtypes(endianness="?"),
    npst.unicode_string_dtypes(min_len=1, max_len=4),
    npst.datetime64_dtypes(),
)
arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([Path("some/where"), Path("/")]),
    st.sampled_from([np.float32(0.1), np.float64("nan"), np.int8(-3), np.bool_(True), np.str_("a")]),
)
values = st.recursive(
    scalars | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.tuples(st.integers()), inner, max_size=3),
        st.builds(Node, inner, inner),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_every_value_comes_back_as_it_was(value):
    assert_same(through_json(value), value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 0.1 + 0.2, 5e-324, 2**70, "\ud800"])
def test_numbers_and_text_at_the_edge_come_back_bit_for_bit(value):
    assert_same(through_json(value), value)


def test_views_come_back_in_their_own_order():
    grid = np.arange(12.0).reshape(3, 4)
    for view in (grid.T, grid[:, ::2], grid[::-1], np.asfortranarray(grid), np.broadcast_to(grid[0], (5, 4))):
        assert_same(through_json(view), view)
        assert through_json(view).flags.writeable


def test_what_the_stages_yield_comes_back_and_works():
    rng = np.random.default_rng(0)
    pieces = tuple(rng.normal(size=(n, 2)).astype(np.float32) for n in (50, 20, 30))
    trajectory = Trajectory(pieces, 0.1 + 0.2, "ps", columns=("x", "y"))
    grid = Grid(low=-1.0, high=(1.0, 2.0), n_bins=3).fit(trajectory)
    wells = Wells(centres={"x": (-1.0, 1.0), "y": (0.0, 0.0)}, radius=None).fit(trajectory)
    states = grid.assign(trajectory)
    treatment = CoreSetDensity(energy_kT=1.0, n_bins=3).fit(grid, trajectory)
    treated = treatment.treat(states, trajectory)
    numbers = effect(states, treated, treated, treatment.leading(states, trajectory))
    split = Split(trajectory, states, None)
    everything = (split, SelectedColumns(("x",)), grid, wells, treatment, numbers)
    found = through_json(everything, trusted=())
    assert_same(found, everything)
    assert_same(found[2].assign(trajectory), states)
    assert_same(found[4].treat(states, trajectory), treated)


def test_objects_are_built_by_their_constructor():
    """What it makes itself is made anew, and what it refuses is refused."""
    assert through_json(Node(1, Node(2))).length == 2
    arrays, description = pack(Grid(low=0.0, high=1.0, n_bins=3))
    description["fields"]["n_bins"] = 0
    with pytest.raises(ValueError, match="n_bins"):
        unpack(arrays, description)


def test_arrays_are_not_copied():
    piece = np.zeros((3, 2))
    arrays, description = pack(Dtraj((piece,), 1.0, "ps", n_states=1))
    assert np.shares_memory(unpack(arrays, description).pieces[0], piece)


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"bytes",
        1j,
        object(),
        Pair(1, 2),
        OrderedDict(a=1),
        Trajectory,
        len,
        np.array([None]),
        np.zeros(2, dtype=[("a", float)]),
        np.ma.masked_array([1, 2], mask=[True, False]),
    ],
)
def test_what_would_not_come_back_as_it_was_is_refused(value):
    for whole in (value, [value], Node({"a": (value,)})):
        with pytest.raises(TypeError, match="cannot be stored"):
            pack(whole)


def of_class(name):
    return {"class": name, "fields": {"columns": {"tuple": ["x"]}}}


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:Popen",
        "mdlm_evil:X",
        "mdlmx.features.base:SelectedColumns",
        ":SelectedColumns",
        "",
        f"{__name__}:Node",
        "mdlm.cli:main",
        "mdlm.cli:Path",
        "mdlm.store:os.system",
        "mdlm.build:build",
        "mdlm.build:ConfigError",
        "mdlm.features.columns:SelectedColumns",  # imported there, not of there
    ],
)
def test_foreign_classes_and_tampered_names_are_refused(name):
    with pytest.raises(ValueError, match=r"^class "):
        unpack({}, of_class(name))


@pytest.mark.parametrize("name", ["mdlm.none:X", "mdlm.features.base:X", "mdlm.features.base:"])
def test_a_class_that_is_gone_is_an_error(name):
    with pytest.raises((ImportError, AttributeError)):
        unpack({}, of_class(name))


def test_a_nested_class_that_is_no_dataclass_is_refused_in_a_trusted_module_too():
    with pytest.raises(ValueError, match="is no dataclass"):
        unpack({}, of_class(f"{__name__}:Node.Inner"), trusted={__name__})


def test_reading_the_name_of_the_programs_own_main_module_does_not_run_it():
    with pytest.raises(ValueError, match="is no dataclass"):
        unpack({}, of_class("mdlm.__main__:main"))


@pytest.mark.parametrize("node", [{}, {"pickle": "x"}, {"array": "000000"}])
def test_a_description_of_nothing_is_refused(node):
    with pytest.raises(ValueError, match="describes nothing"):
        unpack({}, node)
