"""Where a study's trials are kept: a journal in its folder, or a database that machines share."""

import functools
import os
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from mase.errors import ParamsError, TrackingError

VARIABLE = "MASE_STUDY_STORAGE"


def journal_path(folder: Path) -> Path:
    """Return the file that keeps the trials where no database is named."""
    return folder / "journal.log"


def study_storage(folder: Path) -> BaseStorage:
    """Return the database that `$MASE_STUDY_STORAGE` names, else the journal of the study's folder.

    Raises:
        ParamsError: if it names SQLite, which loses trials of workers that write at once.
        TrackingError: if the database cannot be opened.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return JournalStorage(JournalFileBackend(str(journal_path(folder))))
    if url.startswith("sqlite"):
        raise ParamsError(f"{VARIABLE}: SQLite is not for several workers; name a PostgreSQL database")
    return database(url)


@functools.lru_cache(maxsize=4)
def database(url: str) -> RDBStorage:
    """Return the storage of a database, one a process, with its pool of connections."""
    try:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (SQLAlchemyError, ImportError, optuna.exceptions.OptunaError) as cause:
        raise TrackingError(f"{VARIABLE}={url.partition('@')[2] or url}: {cause}") from cause
