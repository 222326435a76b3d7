import importlib
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from mdlm import fingerprint
from mdlm.fingerprint import code_version, digest, git_commit, made_with, part_identity
from mdlm.model.lstm import LSTMConfig
from mdlm.sampling.sampling import Sampling
from mdlm.system.chain import Chain
from mdlm.system.four_state import FourState
from mdlm.system.four_state_overdamped import FourStateOverdamped
from mdlm.training.published import Defects

CHAIN = {
    "transition_matrix": ((0.9, 0.1), (0.2, 0.8)),
    "n_trajectories": 3,
    "n_frames": 50,
    "frame_time": 1.0,
    "time_unit": "ps",
    "seed": 0,
    "lag_time": 5.0,
}
FILES = {
    "kernels.py": "RATE = 2.0\n\n\ndef step(x):\n    return RATE * x\n",
    "base.py": "class Base:\n    def start(self):\n        return 0.0\n",
    "part.py": """
from NAMEbase import Base


class Part(Base):
    size = 3

    def run(self):
        from NAMEkernels import step

        return step(self.size)
""",
}


@pytest.fixture
def version(tmp_path, monkeypatch):
    """The version of ``Part`` in modules with some text replaced, each time written and imported anew."""
    numbers = count()

    def of(layout, changes=(), files=FILES):
        folder = tmp_path / str(next(numbers))
        inside = folder / "parts" if layout == "package" else folder
        inside.mkdir(parents=True)
        for file, text in files.items():
            for old, new in changes:
                text = text.replace(old, new)
            (inside / file).write_text(text.replace("NAME", "parts." if layout == "package" else ""))
        if layout == "package":
            (inside / "__init__.py").write_text("")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            for name in [n for n in sys.modules if n.split(".")[0] in ("parts", "part", "base", "kernels")]:
                patch.delitem(sys.modules, name)
            importlib.invalidate_caches()
            module = importlib.import_module("parts.part" if layout == "package" else "part")
            found = code_version(module.Part)
            for name in [n for n in sys.modules if n.split(".")[0] in ("parts", "part", "base", "kernels")]:
                patch.delitem(sys.modules, name)
        return found

    return of


@pytest.fixture
def read(monkeypatch):
    """Names of the modules whose source was read."""
    names, original = [], fingerprint.read_code
    monkeypatch.setattr(fingerprint, "read_code", lambda file: names.append(file.stem) or original(file))
    fingerprint.module_code.cache_clear()
    return names


layouts = pytest.mark.parametrize("layout", ["package", "single files"])


@layouts
@pytest.mark.parametrize(
    "change",
    [
        ("size = 3", "size = 3  # nm"),
        ("size = 3", "\n\n    size = (\n        3\n    )"),
        ("class Part(Base):", 'class Part(Base):\n    """A part."""\n'),
        ("def step(x):", 'def step(x):\n    """One step."""'),
        ("RATE = 2.0", '"""Kernels."""\n\nRATE = 2.0'),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(version, layout, change):
    assert version(layout, [change]) == version(layout)


@layouts
@pytest.mark.parametrize(
    "change",
    [
        ("size = 3", "size = 4"),  # the class itself
        ("return 0.0", "return 1.0"),  # its base, in another module
        ("RATE = 2.0", "RATE = 2.5"),  # a constant of what a method imports
        ("RATE * x", "RATE + x"),
    ],
)
def test_a_changed_constant_or_formula_counts(version, layout, change):
    assert version(layout, [change]) != version(layout)


@pytest.mark.parametrize(
    "statement",
    [
        "from parts.kernels import step",
        "from parts import kernels",
        "import parts.kernels",
        "import parts.kernels as k",
        "from .kernels import step",
        "from . import kernels",
    ],
)
def test_every_form_of_import_is_followed(version, statement):
    files = FILES | {"part.py": f"{statement}\n\n\nclass Part:\n    pass\n"}
    assert version("package", [("RATE = 2.0", "RATE = 2.5")], files) != version("package", files=files)


def test_a_base_counts_wherever_it_is_imported_from(version):
    """Through a module that only passes it on."""
    files = FILES | {"part.py": "from NAMEhub import Base\n\n\nclass Part(Base):\n    pass\n"}
    files |= {"hub.py": "from NAMEbase import Base\n"}
    for layout in ("package", "single files"):
        assert version(layout, [("return 0.0", "return 1.0")], files) != version(layout, files=files)


def test_a_users_system_depends_on_the_code_of_its_base_in_mdlm(version, edited):
    files = {"part.py": "from mdlm.system.chain import Chain\n\n\nclass Part(Chain):\n    pass\n"}
    before = version("single files", files=files)
    edited("mdlm.system.chain")
    assert version("single files", files=files) != before


@layouts
def test_modules_of_other_packages_do_not_count(version, layout, read):
    """Numpy has a version of its own; a system must not be computed anew for it."""
    text = "import json\nimport numpy as np\nfrom mdlm import build\n\n\nclass Part(dict):\n    pass\n"
    version(layout, files=FILES | {"part.py": text})
    assert read == ["part"]


def test_a_package_needs_no_init_file(version, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_text", lambda path, text, write=Path.write_text: text and write(path, text))
    assert version("package", [("RATE = 2.0", "RATE = 2.5")]) != version("package")
    assert not list(tmp_path.rglob("__init__.py"))


def test_nothing_is_imported_to_read_it(version):
    """A module that takes a second to load, such as one of numba's kernels, is needed when a part runs, not before."""
    files = FILES | {"part.py": "def late():\n    from parts.kernels import step\n\n\nclass Part:\n    pass\n"}
    other = files | {"kernels.py": "raise RuntimeError('imported')\n"}
    assert version("package", files=other) != version("package", files=files)


def test_the_systems_here_have_versions_of_their_own_that_do_not_change():
    versions = [code_version(system) for system in (Chain, FourState, FourStateOverdamped)]
    assert len(set(versions)) == 3
    assert versions == [code_version(system) for system in (Chain, FourState, FourStateOverdamped)]


@pytest.mark.parametrize("name", ["four_state", "four_state_kernels", "walkers", "base"])
def test_an_edit_of_a_base_or_of_what_a_method_imports_counts(edited, name):
    before = code_version(FourState)
    edited(f"mdlm.system.{name}")
    assert code_version(FourState) != before


def test_an_edit_of_another_system_does_not_count(edited):
    before = code_version(FourState)
    edited("mdlm.system.chain")
    assert code_version(FourState) == before


LSTM = LSTMConfig(embedding=2, hidden=3, layers=1, dropout=0.0)
SAMPLING = Sampling(n_chains=1, chain_length=2, prompt_length=1, sampling_temperature=1.0)


@pytest.mark.parametrize(
    ("part", "module"),
    [
        *((LSTM, f"model.{name}") for name in ("lstm", "lstm_model", "network", "recurrent", "base", "slow_memory")),
        *((SAMPLING, f"sampling.{name}") for name in ("sampling", "drawing", "compiled", "gate_kernels")),
        *((Defects(), f"training.{name}") for name in ("published", "defects", "objective")),
    ],
)
def test_an_edit_of_what_computes_with_some_settings_counts(part, module, edited):
    """Settings import it only when they are asked to compute."""
    before = part_identity(part)
    edited(f"mdlm.{module}")
    assert part_identity(part) != before


def test_an_edit_of_another_model_does_not_count(edited):
    before = part_identity(LSTM)
    edited("mdlm.model.transformer_model")
    assert part_identity(LSTM) == before


def test_a_digest_tells_values_apart_and_not_orders():
    assert digest({"a": 1, "b": (1, 2)}) == digest({"b": [1, 2], "a": 1})
    assert len({digest({"a": value}) for value in (1, 1.0, "1", None, [1], True)}) == 6


@dataclass(frozen=True)
class Inner:
    lag: float


@dataclass(frozen=True)
class Outer:
    of: Inner | None = None
    path: Path | None = None
    others: tuple[object, ...] = ()
    by_name: dict[str, object] = field(default_factory=dict)


def test_a_part_is_named_by_its_class_its_code_and_its_fields():
    identity = part_identity(Outer(Inner(math.inf), others=(1, 2.0)))
    assert identity == {
        "class": f"{__name__}.Outer",
        "fields": {"of": part_identity(Inner(math.inf)), "path": None, "others": [1, 2.0], "by_name": {}},
        "code": code_version(Outer),
    }
    assert identity["fields"]["of"]["code"] == code_version(Inner)
    assert json.loads(json.dumps(identity)) == identity


def test_parts_that_differ_anywhere_have_different_names():
    inner = Inner(1.0)
    parts = [
        *(Outer(), Outer(inner), Outer(Inner(2.0)), Outer(others=(inner,)), Outer(others=(inner, inner))),
        *(Outer(by_name={"a": inner}), Outer(by_name={"b": inner}), Outer(others=("1",)), Outer(others=(1,))),
        *(Outer(path=Path("a")), Outer(path=Path("b")), Outer(others=(None,)), Outer(others=(True,))),
    ]
    assert len({digest(part_identity(part)) for part in parts}) == len(parts)
    assert digest(part_identity(Outer(Inner(1.0)))) == digest(part_identity(Outer(inner)))


def test_the_code_of_a_nested_part_counts(edited):
    """That of a tica's features, say, which its own module does not import."""
    tica = Outer(others=(Chain(**CHAIN),))
    before = part_identity(tica)
    edited("mdlm.system.chain")
    after = part_identity(tica)
    assert before != after
    assert before["code"] == after["code"]


def test_how_a_system_is_judged_is_no_part_of_its_name():
    chain = Chain(**CHAIN)
    assert part_identity(replace(chain, lag_time=7.0, wells={"state": (0.0, 1.0)})) == part_identity(chain)
    assert part_identity(replace(chain, seed=1)) != part_identity(chain)


def test_a_file_counts_with_its_size_and_date(tmp_path):
    part = Outer(path=tmp_path / "topology.pdb")
    names = [part_identity(part)]
    part.path.write_text("ATOM")
    names.append(part_identity(part))
    assert part_identity(part) == names[-1]
    os.utime(part.path, (0, 0))
    names.append(part_identity(part))
    part.path.write_text("ATOMS")
    os.utime(part.path, (0, 0))
    names.append(part_identity(part))
    assert len({digest(name) for name in names}) == 4


def test_a_field_that_no_configuration_holds_is_refused():
    """Its text might be another in every process, and nothing would ever be found again."""
    with pytest.raises(TypeError, match="a function cannot be part of a result's name"):
        part_identity(Outer(others=(test_a_file_counts_with_its_size_and_date,)))


def git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_named_and_marked_where_files_differ_from_it(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--no-gpg-sign", "-m", "first")
    (tmp_path / "below").mkdir()
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path / "below") == head
    (tmp_path / "new").write_text("not under version control")
    assert git_commit(tmp_path) == head
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == head + "+"


def test_there_is_no_commit_outside_a_repository_or_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_what_a_process_was_made_with_is_asked_once_and_cannot_be_changed(monkeypatch):
    """A worker runs the code that it loaded, whatever is committed meanwhile; asking git for every cell costs time."""
    made_with.cache_clear()
    asked = []
    monkeypatch.setattr("mdlm.fingerprint.git_commit", lambda directory: asked.append(directory) or "abc")
    assert made_with()["git_commit"] == made_with()["git_commit"] == "abc"
    assert len(asked) == 1
    with pytest.raises(TypeError):
        made_with()["mdlm"] = "another"
    made_with.cache_clear()
