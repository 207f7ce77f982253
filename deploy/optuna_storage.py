"""Make, or bring up to date, the tables of Optuna's database: python optuna_storage.py URL.

The dashboard expects them, and `optuna storage upgrade` does not make them.
"""

import sys

from optuna.storages import RDBStorage

RDBStorage(sys.argv[1], skip_compatibility_check=True).upgrade()
