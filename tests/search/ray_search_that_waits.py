"""A search on Ray that starts a worker, says that it is ready and waits to be killed. Given: an address, a plugin."""

import sys
import time

from assignments import digits_job

from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.ray.executor import RayExecutor

address, plugin = sys.argv[1:]
setup = WorkerSetup(digits_job(), plugins=(plugin,))
settings = ExecutorSettings(devices=("cpu",), workers=1, address=address)
with RayExecutor(setup, settings) as executor:
    while not executor.idle:
        executor.poll(0.5)
    print("ready", flush=True)
    time.sleep(600)
