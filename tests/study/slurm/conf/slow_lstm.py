"""An LSTM that takes its time in training, so that there is something to interrupt, on fast machines too."""

import time
from dataclasses import dataclass

from mdlm.model.lstm import LSTM, LSTMConfig


@dataclass(frozen=True)
class SlowConfig(LSTMConfig):
    """An LSTM that sleeps ``pause`` seconds before every batch; the numbers are those of the LSTM."""

    pause: float = 0.0

    def build(self, n_states):
        return Slow(self, n_states)


class Slow(LSTM):
    """See `SlowConfig`."""

    def forward(self, *arguments, **options):
        if self.training:
            time.sleep(self.config.pause)
        return super().forward(*arguments, **options)
