"""Names of the metrics that a study reads, all of them; `mdlm.outcome.Outcome.metrics` gathers those a run writes."""

T2_RATIO = "t2_ratio_to_data"
"""t2 of the sample over that of the training data; with ``_low`` and ``_high``."""

T2_RATIO_FLOOR = "t2_ratio_floor_factor"
"""By what factor molecular dynamics as long as the sample would be off: at least 1."""

T2_SAMPLED, T2_DATA = "t2_sampled", "t2_data"
"""The timescales themselves; unit and ``low`` or ``high`` follow."""

N_STATES, N_FEATURES = "n_states", "n_features"
CHANGED = "recrossing_fraction_changed"
COSTS = ("train_seconds", "sample_seconds")
