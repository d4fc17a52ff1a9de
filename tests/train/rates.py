"""Schedules of the learning rate in tenon's language, each of STEPS steps; the loss is measured every EVERY of them and
stays what it is."""
STEPS = 60
EVERY = 5
SCHEDULES = {
    "constant": "constant(0.1)",
    "constant_warmup": "constant(0.1, warmup: 7)",
    "step": "step(0.1, every: 11, factor: 0.3)",
    "step_warmup": "step(0.1, every: 11, warmup: 7)",
    "exponential": "exponential(0.1, factor: 0.5, every: 13)",
    "cosine": "cosine(0.1, to: 0.001)",
    "cosine_warmup": "cosine(0.1, warmup: 10)",
    "one_cycle": "one_cycle(0.1, peak: 0.3, start: 0.04, to: 0.0001)",
    "plateau": "plateau(0.1, factor: 0.5, patience: 2, watch: valid.loss)",
    "plateau_to": "plateau(0.1, factor: 0.2, patience: 1, watch: valid.loss, mode: max, to: 0.003)",
}
