"""`mase doctor`: is this machine ready, and if not, what to do.

What may live here: checks, each a function that returns `Check` objects and changes nothing: no store is
created, no model fetched, no server started. Checks of Prefect are in `flows/prefect_check.py`, which
may know it.
"""

from mase.doctor.check import Check, worst

__all__ = ["Check", "worst"]
