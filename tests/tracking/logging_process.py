"""A process of its own that logs, started by test_tracking_processes.py with run ids only.

children PARENT COUNT EXPERIMENT    make the experiment, log COUNT children of PARENT, print their ids as JSON
steps RUN_ID                        re-open the run and log one step after the other, until killed
"""

import json
import sys
import time

from mase.tracking import names, open_tracker


def children(parent: str, count: int, experiment: str) -> None:
    import mlflow

    open_tracker("race", experiment=experiment).close()
    ids = []
    for number in range(count):
        with open_tracker(f"child {number}", parent=parent) as tracker:
            for step in range(5):
                tracker.metrics({names.DELTA: step}, step)
                assert mlflow.active_run() is None
            ids.append(tracker.run_id)
    print(json.dumps(ids))


def steps(run_id: str) -> None:
    tracker = open_tracker("continued", run_id=run_id)
    for step in range(10**6):
        tracker.metrics({names.weight("image"): step / 10, names.OBJECTIVE: -step}, step)
        print(step, flush=True)
        time.sleep(0.01)


if __name__ == "__main__":
    if sys.argv[1] == "children":
        children(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        steps(sys.argv[2])
