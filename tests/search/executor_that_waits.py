"""A search that starts a worker of two processes, prints their process ids and waits to be killed."""

import time

from assignments import digits_job

from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.local import LocalExecutor

setup = WorkerSetup(digits_job())
with LocalExecutor(setup, ExecutorSettings(devices=("cpu",), per_trial_devices=2)) as executor:
    while not executor.idle:
        executor.poll(0.5)
    group = executor._workers[0].group
    assert group is not None
    print(*(process.pid for process in group.processes), flush=True)
    time.sleep(600)
