"""Everything that this package raises on purpose.

    MaseError
    ├── ParamsError             a params file, an override or an argument is wrong
    ├── DataError               a data file is missing or malformed (file, line, remedy)
    ├── MissingWeightsError     a checkpoint, tower or backbone is not where it was looked for
    ├── CheckpointFormatError   a checkpoint has keys or shapes that it should not have
    ├── ScenegraphError         a graph or a tagger's weights are unusable
    ├── ArtifactError           a stored file does not match its manifest
    ├── TrainingError           a run cannot go on (a non-finite loss, no rows to train on)
    └── TrackingError           the tracking store refuses or cannot be reached

The command line turns `ParamsError` and `DataError` into exit code 2 and every
other `MaseError` into exit code 1, with the message and no traceback.
"""


class MaseError(Exception):
    """Base of every error that this package raises on purpose."""


class ParamsError(MaseError):
    """A params file, an override or an argument is wrong."""


class DataError(MaseError):
    """A data file is missing or malformed."""


class MissingWeightsError(MaseError):
    """A checkpoint, tower or backbone is not where it was looked for."""


class CheckpointFormatError(MaseError):
    """A checkpoint has keys or shapes that it should not have."""


class ScenegraphError(MaseError):
    """A graph or a tagger's weights are unusable."""


class ArtifactError(MaseError):
    """A stored file does not match its manifest."""


class TrainingError(MaseError):
    """A run cannot go on."""


class TrackingError(MaseError):
    """The tracking store refuses or cannot be reached."""
