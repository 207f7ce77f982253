"""The commands of `mase`, one file per concern; each registers itself on the app of `flows.cli`.

Heavy imports (PyTorch, Prefect, Optuna, pandas) happen inside the command bodies.
"""
