"""Which running trials of a study in PostgreSQL have a living worker, on whatever machine.

A worker holds a lock of the database while a trial runs; the database drops it when the worker's
connection ends, so a killed process holds nothing. Optuna's own heartbeats are for `Study.optimize`,
and leave a trial alone for as long as the grace period after its worker's end.

A journal has no such locks: it is used on one machine, where `flows.study_workers.tune` keeps others out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from optuna.storages import RDBStorage

from flows.study_storage import study_storage

CLAIM = sa.text("SELECT pg_advisory_lock(hashtextextended(:trial, 0))")
# Shared, so that two who ask do not see each other, and dropped at the end of the transaction.
ASK = sa.text("SELECT pg_try_advisory_xact_lock_shared(hashtextextended(:trial, 0))")
# So that a machine that is lost is noticed after two minutes, not after two hours.
KEEPALIVES = (("idle", 60), ("interval", 15), ("count", 4))


@contextmanager
def claimed(folder: Path, number: int) -> Iterator[None]:
    """Hold a trial of the study in `folder` as this process's own."""
    storage = study_storage(folder)
    if not isinstance(storage, RDBStorage):
        yield
        return
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # closed in the end; the pool would keep it, and with it the lock
        for name, value in KEEPALIVES:
            connection.execute(sa.text(f"SET tcp_keepalives_{name} = {value}"))
        connection.execute(CLAIM, {"trial": _name(folder, number)})
        yield


def is_claimed(folder: Path, number: int) -> bool:
    """Tell whether a living worker holds a trial; never, where the trials are in a journal."""
    storage = study_storage(folder)
    if not isinstance(storage, RDBStorage):
        return False
    with storage.engine.connect() as connection:
        return not connection.execute(ASK, {"trial": _name(folder, number)}).scalar_one()


def _name(folder: Path, number: int) -> str:
    return f"mase study {folder.name} trial {number}"
