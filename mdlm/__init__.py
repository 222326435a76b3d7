"""Language models on discretised molecular dynamics, judged by the slow timescales they keep."""

__version__ = "0.1.0"
