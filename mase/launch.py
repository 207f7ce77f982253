"""`python -m mase.launch N MODULE WORDS...`: run a module on N ranks of this machine, by `torchrun`.

Unlike `torchrun` itself it leaves out its report of a failure: a rank has said what went wrong. The exit
code is that of the rank that failed first, or 128 and the number of the signal that stopped all.
"""

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main(arguments: list[str]) -> None:
    """Run the ranks; they get SIGTERM when this process does, and are killed 30 s later."""
    processes, module, *words = arguments
    try:
        run(parse_args(["--standalone", f"--nproc-per-node={processes}", "--module", module, *words]))
    except ChildFailedError as cause:
        rank, failure = cause.get_first_failure()
        if failure.exitcode < 0:
            raise SystemExit(f"rank {rank} was ended by {failure.signal_name()}") from None
        raise SystemExit(failure.exitcode) from None
    except SignalException as cause:
        raise SystemExit(128 + cause.sigval) from None


if __name__ == "__main__":
    main(sys.argv[1:])
