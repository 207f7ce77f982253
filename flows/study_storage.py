"""Where a study's trials are kept: a journal in its folder, or a database that machines share."""

import functools
import os
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mase.errors import ParamsError, TrackingError
from mase.tracking.address import cleaned, without_credentials

VARIABLE = "MASE_STUDY_STORAGE"


def journal_path(folder: Path) -> Path:
    """Return the file that keeps the trials where no database is named."""
    return folder / "journal.log"


def study_storage(folder: Path, *, make_tables: bool = True) -> BaseStorage:
    """Return the database that `$MASE_STUDY_STORAGE` names, else the journal of the study's folder.

    Args:
        make_tables: whether to make a database's tables where there are none; to look, leave it as it is.

    Raises:
        ParamsError: if it names another database than PostgreSQL. SQLite loses trials of workers that
            write at once.
        TrackingError: if the database cannot be opened, or has no tables of studies.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return JournalStorage(JournalFileBackend(str(journal_path(folder))))
    kind = url.partition(":")[0].partition("+")[0]
    if kind != "postgresql":
        raise ParamsError(f"{VARIABLE}: {kind} is not for several workers; name a PostgreSQL database")
    return database(url, make_tables)


@functools.lru_cache(maxsize=4)
def database(url: str, make_tables: bool) -> RDBStorage:
    """Return the storage of a database, one a process, with its pool of connections."""
    shown = f"{VARIABLE}={without_credentials(url)}"
    try:
        if not make_tables and not _has_tables(url):
            raise TrackingError(
                f"{shown}: there are no tables of studies yet; the first `mase tune` makes them"
            )
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True}, skip_table_creation=not make_tables)
    except (SQLAlchemyError, ImportError, optuna.exceptions.OptunaError) as cause:
        raise TrackingError(f"{shown}: {cleaned(str(cause))}") from cause


def _has_tables(url: str) -> bool:
    """Tell whether Optuna's tables are there; `alembic_version` is the last that it makes."""
    engine = sa.create_engine(url, poolclass=NullPool)
    return all(sa.inspect(engine).has_table(table) for table in ("version_info", "alembic_version"))
