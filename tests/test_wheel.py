"""The wheel holds all that is needed, and works from a virtual environment and a directory of its own."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    for needed in ("build", "hatchling"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `mdlm` of a fresh environment that has the wheel, and this environment's packages after it."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    # .pth files are read in order, and a plain path in one does not read those of that directory: an editable
    # installation of the repository stays invisible.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "mdlm"


def call(command, *words, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MDLM", "PYTHON"))}
    words = [str(command), *map(str, words)]
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_wheel_holds_every_configuration_file_and_no_test(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    conf = REPOSITORY / "conf"
    for file in conf.rglob("*.yaml"):
        assert f"mdlm/conf/{file.relative_to(conf)}" in names
    assert "mdlm/py.typed" in names
    assert "hydra_plugins/mdlm_study.py" in names  # where Hydra looks for launchers
    assert "hydra_plugins/__init__.py" not in names  # it is shared with other packages
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mdlm", "hydra_plugins"}
    assert [name for name in names if "test" in Path(name).name] == []


def test_mdlm_is_imported_from_the_new_environment(installed, tmp_path):
    code = "import mdlm, mdlm.cli; print(mdlm.__file__); print(mdlm.cli.conf_directory())"
    lines = call(installed.with_name("python"), "-c", code, cwd=tmp_path).stdout.split()
    assert all(Path(line).is_relative_to(installed.parents[1]) for line in lines), lines


def test_help_works_anywhere(installed, tmp_path):
    assert "Commands:" in call(installed, "--help", cwd=tmp_path).stdout
    assert "model" in call(installed, "train", "--help", cwd=tmp_path).stdout


def test_a_run_works_from_an_empty_directory_with_a_users_own_option(installed, tiny, tmp_path):
    conf = tmp_path / "my_conf"
    (conf / "model").mkdir(parents=True)
    (conf / "model" / "second.yaml").write_text("# a chain of order two\n_target_: second_of_a_test.Second\norder: 2\n")
    (conf / "second_of_a_test.py").write_text(
        "from dataclasses import dataclass\nfrom mdlm.model.markov import MarkovConfig\n\n"
        "@dataclass(frozen=True)\nclass Second(MarkovConfig):\n    pass\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, words in {"plain": ["model=markov"], "own": ["--config-dir", conf, "model=second"]}.items():
        ended = call(installed, "train", *tiny, *words, "tracking=none", f"hydra.run.dir={name}", cwd=empty)
        assert ended.returncode == 0, ended.stderr
        assert (empty / name / "metrics.json").exists()
    assert sorted(entry.name for entry in empty.iterdir()) == ["outputs", "own", "plain"]
