"""What each figure is called and what to see in it, in the order of the report."""

from __future__ import annotations

CAPTIONS = {
    "timescales": (
        "Implied timescales",
        "Relaxation times of Markov state models of the training data and of the sample, against the lag they are "
        "estimated at; bands are intervals. A timescale can be read off where its curve is level. A sample that keeps "
        "the slow process has its uppermost curve inside the data's band at the judged lag (grey line). Faint: t3, t4.",
    ),
    "ratio": (
        "The slowest timescale over that of the data, lag by lag",
        "A sample that keeps the slow process keeps it at every lag; one that is right at the judged lag alone (grey "
        "line) is right by accident. Orange band: interval from sample and data. Blue band: what molecular dynamics as "
        "long as the sample would score. Dotted: 0.8 and 1.25.",
    ),
    "populations": (
        "Populations and free energies",
        "Share of time in each macrostate, and the same as a free energy. Where bars of one state differ, "
        "the sample has another equilibrium; the lower panel gives the error in kT, per state.",
    ),
    "traces": (
        "The sequences themselves",
        "The same span of time of the training data and of one sampled chain. Both should stay, hop and return alike.",
    ),
    "mfpt": (
        "Mean first-passage times",
        "How long it takes, on average, from the set of a row to that of a column, in the data, in the sample, and "
        "as a ratio: white is equal, one colour is a sample too slow, the other a sample too fast.",
    ),
    "surfaces": (
        "Free-energy surfaces",
        "Free energy along the two features: of the training data, and of the sample, each of whose states is given "
        "the training frames of that state. They differ only where the sample visits states more or less often.",
    ),
    "dwell": (
        "Dwell times",
        "Probability that a stay in a macrostate lasts longer than a time. A straight line is a memoryless stay; "
        "a sample that loses memory bends away from the data.",
    ),
    "autocorrelation": (
        "Autocorrelations",
        "How long a macrostate's indicator stays correlated with itself. The slow tail is the slow process.",
    ),
    "chapman_kolmogorov": (
        "Chapman-Kolmogorov test",
        "Probability to be in the same macrostate after a time: as the data say (points) and as the Markov model of "
        "the judged lag predicts (lines). Where they part, the judged lag is too short for a Markov model.",
    ),
    "drift": (
        "Drift along the sample",
        "Populations along the sampled chains, in equal parts of their length. Level lines: the sampler keeps its "
        "equilibrium; a trend: it drifts away from it.",
    ),
    "context": (
        "Memory",
        "Held-out negative log-likelihood against the history the model may see. Where it levels off, longer history "
        "says nothing more about the next token.",
    ),
    "training": (
        "Training",
        "Loss per epoch beside the entropy rate of a Markov chain on the same tokens: a model below it uses memory.",
    ),
    "landscape": ("The partition", "Its borders over the free energy of the training data along the two features."),
    "partition": (
        "What partition and stride did to the data",
        "Timescales of the partition's own states, their populations and departures, and how fast they decorrelate "
        "before and after treatment and stride.",
    ),
}
