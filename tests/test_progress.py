"""What a batch job's log says of a long computation."""

from mdlm.progress import bar


def test_what_is_ahead_is_logged_at_once_and_the_rest_only_now_and_then(capsys):
    with bar("simulating") as progress:
        progress(0, 10)
        progress(0, 10, "10 ns, about 3 minutes")
        progress(1, 10, "1 ns/day")
    assert capsys.readouterr().err == "simulating: 0 % 10 ns, about 3 minutes\n"
