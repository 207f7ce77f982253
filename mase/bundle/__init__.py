"""Units of a table, carried to a machine without network, data or this package, trained there, and back.

    here    `mase bundle pack`            pack.py       what the units read -> one archive
    there   `python -m mase.bundle run`   run.py        N processes of worker.py -> an archive of what is done
    here    `mase bundle import`          importing.py  checked, then into `$MASE_HOME/units`

An archive (`archive.py`) is a plain tar whose first member has the sha256 of every other one. What `pack`
writes:

    plan/NNNNN-<digest>.json     a unit: its name, params, and which of the following it reads (`reading.py`)
    rows/<digest>.json.gz        the prepared rows of a task
    home/graphs/, home/proxies/  artifacts, as they are in `$MASE_HOME`
    home/checkpoints/<ref>/      language models that `backbone.source: path` names
    packages/                    language models that are installed packages, and the small libraries that
                                 `mase` cannot be imported without
    mase/                        the sources that train them

There a unit keeps the name that it has here, since the data and most models that name it stay here. So its
params must mean the same on both machines: `training.precision: auto` is packed as what it is here, and
weights travel as they are. `half.py` stores a language model at half its size, as another model, with units
of its own. A unit that comes back is named again from its params, and refused if that gives another name.

The other machine needs torch, transformers, pydantic, safetensors, pandas, pyarrow and scikit-learn.
"""
