"""What a batch job's log says of a long computation."""

import time

from mdlm.progress import bar, timed


def test_what_is_ahead_is_logged_at_once_and_the_rest_only_now_and_then(capsys):
    with bar("simulating") as progress:
        progress(0, 10)
        progress(0, 10, "10 ns, about 3 minutes")
        progress(1, 10, "1 ns/day")
    assert capsys.readouterr().err == "simulating: 0 % 10 ns, about 3 minutes\n"


def test_seconds_are_added_up_by_description():
    with timed() as spent:
        for _ in range(2):
            with bar("waiting"):
                time.sleep(0.02)
        with bar("nothing"):
            pass
    assert 0.04 <= spent["waiting"] < 1
    assert spent["nothing"] < 0.02
    with bar("waiting"):
        pass
    assert set(spent) == {"waiting", "nothing"}
