"""Rows: what the tasks ask, read from files, the hub or a generator, and split once.

Here live the readers (one module per source), the splits and `prepare`, which turns a
task's params into the rows that a run trains on, estimates information on and is scored
on. Nothing here tokenises, imports a model or looks at a modality.
"""

from mase.data.prepare import TaskData, prepare
from mase.data.rows import Rows

__all__ = ["Rows", "TaskData", "prepare"]
