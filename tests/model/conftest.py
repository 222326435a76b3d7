import pytest
import torch

collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart


@pytest.fixture(autouse=True)
def _one_thread():
    """These models are tiny, and threads that wait for each other cost more than they share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
