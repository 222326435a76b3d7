"""`mdlm advise` on data whose answer is known."""

import json

import numpy as np
import pytest

STATES = ["system=states", "system.frame_time=1", "system.time_unit=ps", "training.max_epochs=2"]


def scanned(mdlm, folder, *words):
    ended = mdlm("advise", *STATES, *words, "out=advice", cwd=folder)
    assert ended.code == 0, ended.err
    found = json.loads((folder / "advice" / "advise.json").read_text())
    assert found["headline"] in ended.out
    return found, ended


def evidence_of(found, recrossing, stride, partition="labels"):
    return next(
        one
        for one in found["evidence"]
        if (one["choice"]["partition"], one["choice"]["recrossing"], one["choice"]["stride"])
        == (partition, recrossing, stride)
    )


def timescale(matrix, lag):
    return -lag / np.log(np.sort(np.abs(np.linalg.eigvals(matrix)))[-2])


# A core on either side of a region in which the label flickers with every other frame.
LEAVE, FLICKER, FALL = 0.0025, 0.6, 0.1
FLICKERING = np.array(
    [
        [1 - LEAVE, LEAVE, 0, 0],
        [FALL, 1 - FALL - FLICKER, FLICKER, 0],
        [0, FLICKER, 1 - FALL - FLICKER, FALL],
        [0, 0, LEAVE, 1 - LEAVE],
    ]
)
LABEL = np.array([0, 0, 1, 1])


@pytest.mark.slow
def test_labels_that_flicker_between_two_states_are_to_be_cored(mdlm, sample_chain, tmp_path):
    np.save(tmp_path / "labels.npy", LABEL[np.array(sample_chain(FLICKERING, 20, 8000, seed=0))])
    # Where t2 of the labels has nearly levelled off: 414 ps of 433, so that cores are hardly slower than the data.
    found, ended = scanned(mdlm, tmp_path, "system.path=labels.npy", "system.lag_time=200")
    assert found["choice"]["recrossing"] == "coring 20 ps"
    assert found["choice"]["stride"] == 1
    assert found["command"] in ended.out
    assert "recrossing=coring recrossing.residence_time=20" in found["command"]
    # What a Markov chain of the labels makes of it, from the hidden chain: P(0 -> 1) is the share in b times FLICKER.
    stationary = np.linalg.matrix_power(FLICKERING, 2**16)[0]
    of_label = np.stack([LABEL == 0, LABEL == 1]).astype(float)

    def lumped(lag):
        joint = of_label @ (stationary[:, None] * np.linalg.matrix_power(FLICKERING, lag)) @ of_label.T
        return joint / joint.sum(axis=1, keepdims=True)

    keep = evidence_of(found, "keep", 1)
    assert keep["memoryless"] * found["data"]["t2"]["value"] == pytest.approx(timescale(lumped(1), 1), rel=0.1)
    assert evidence_of(found, "keep", 10)["memoryless"] * found["data"]["t2"]["value"] == pytest.approx(
        timescale(lumped(10), 10), rel=0.1
    )
    assert evidence_of(found, "coring 20 ps", 1)["memoryless"] > 0.8


@pytest.mark.slow
def test_a_markov_chain_needs_no_treatment_and_no_stride_and_its_command_runs(
    mdlm, four_states, sample_chain, tmp_path
):
    np.save(tmp_path / "chain.npy", np.array(sample_chain(four_states, 20, 3000, seed=1)))
    found, _ = scanned(mdlm, tmp_path, "system.path=chain.npy", "system.lag_time=20", "sampling.n_chains=20")
    assert found["decided"]
    assert (found["choice"]["partition"], found["choice"]["recrossing"], found["choice"]["stride"]) == (
        *("labels", "keep"),
        1,
    )
    best = evidence_of(found, "keep", 1)
    assert best["memoryless"] == pytest.approx(1, abs=0.15)
    assert best["small"] is not None
    assert best["predicted_error"]["low"] < 1.1
    assert found["error"] == best["predicted_error"]
    words = found["command"].split()
    assert words[:2] == ["mdlm", "train"]
    run = mdlm(*words[1:], "model=markov", "baselines=none", "tracking=none", "hydra.run.dir=run", cwd=tmp_path)
    assert run.code == 0, run.err


def test_three_events_are_undecided_and_nothing_else_is_computed(mdlm, tmp_path):
    np.save(tmp_path / "few.npy", np.repeat([0, 1, 0, 1], 500))
    found, ended = scanned(mdlm, tmp_path, "system.path=few.npy", "system.lag_time=10")
    assert not found["decided"]
    assert found["choice"] is found["command"] is None
    assert found["headline"] == "Undecided: the data hold 3 slow events, and a verdict needs 10"
    assert "about 6.67e+03 ps" in ended.out  # 2000 ps x 10 / 3
    assert "mdlm train" not in ended.out
    assert found["evidence"] == []


def test_a_budget_that_is_over_at_once_ends_at_once_and_decides_nothing(mdlm, tmp_path):
    np.save(tmp_path / "few.npy", np.repeat([0, 1], 500)[np.arange(100_000) % 1000])
    found, _ = scanned(mdlm, tmp_path, "system.path=few.npy", "system.lag_time=10", "budget_minutes=1e-9")
    assert found["headline"] == "Undecided: the time was up before the data had been read and described"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["budget_minutes=soon"], "budget_minutes (soon) must be a number of minutes above 0"),
        (["budget_minutes=-1"], "budget_minutes (-1) must be a number of minutes above 0"),
        (["out="], "out is empty; give a directory"),
        (["-m"], "--multirun is no option of mdlm advise: it tries the choices by itself"),
        (["system=states"], "system.path, frame_time, time_unit are missing: give path=FILE"),
        (["strid=2"], "strid is no field; did you mean stride?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(mdlm, tmp_path, words, message):
    ended = mdlm("advise", *words, cwd=tmp_path)
    assert ended.code == 1
    assert message in ended.error


def test_the_help_teaches(mdlm, tmp_path):
    told = mdlm("advise", "--help", cwd=tmp_path).out
    for word in ("budget_minutes=", "out=", "docs/advise.md", "mdlm advise system=files"):
        assert word in told
