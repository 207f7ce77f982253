"""A trained model outside this project: as an MLflow pyfunc, and in MLflow's registry.

What may live here: what MLflow runs to answer (`pyfunc`), and what puts models into its store and takes them
out (`registry`). MLflow is imported here and in `mase.tracking.mlflow_tracker`, nowhere else.
"""
