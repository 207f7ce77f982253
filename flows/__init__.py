"""Orchestration: Prefect flows, the command line, the Optuna study and the deployments.

Nothing here computes: a task loads params, calls one function of `mase` and returns paths,
digests or small numbers. No tensors and no equations. Modules that only the command line
needs stay importable without Prefect, MLflow, Optuna or PyTorch, so that `mase --help` is quick.
"""
