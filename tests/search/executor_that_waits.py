"""A search that starts a worker, prints its process id and waits to be killed."""

import time

import betanas as bn
from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.local import LocalExecutor

setup = WorkerSetup(
    data="digits",
    data_root=None,
    data_fingerprint=bn.open_source("digits").fingerprint,
    resolution=16,
    validation_share=0.2,
    split_seed=0,
    recipe=bn.load_recipe("fast").to_dict(),
    batch_size=64,
)
with LocalExecutor(setup, ExecutorSettings(devices=("cpu",))) as executor:
    while not executor.idle:
        executor.poll(0.5)
    process = executor._seats[0].process
    assert process is not None
    print(process.pid, flush=True)
    time.sleep(600)
