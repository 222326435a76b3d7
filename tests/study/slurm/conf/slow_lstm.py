"""An LSTM that takes its time in training, so that there is something to interrupt, on fast machines too."""

import time
from dataclasses import dataclass
from pathlib import Path

from mdlm.model.lstm import LSTMConfig
from mdlm.model.lstm_model import LSTM


@dataclass(frozen=True)
class SlowConfig(LSTMConfig):
    """An LSTM that sleeps ``pause`` seconds before every batch; the numbers are those of the LSTM.

    It does so until the file ``until`` is in the current directory, and fails where there is no file ``needs``.
    """

    pause: float = 0.0
    until: str = ""
    needs: str = ""

    def build(self, n_states):
        return Slow(self, n_states)


class Slow(LSTM):
    """See `SlowConfig`."""

    def network(self, *arguments):
        if self.config.needs:
            Path(self.config.needs).read_text()
        if self.training and not Path(self.config.until).is_file():
            time.sleep(self.config.pause)
        return super().network(*arguments)
