"""A search on Ray that starts a worker, says that it is ready and waits to be killed. Given: an address, a plugin."""

import sys
import time

import betanas as bn
from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.ray.executor import RayExecutor

address, plugin = sys.argv[1:]
setup = WorkerSetup(
    data="digits",
    data_root=None,
    data_fingerprint=bn.open_source("digits").fingerprint,
    resolution=16,
    validation_share=0.2,
    split_seed=0,
    recipe=bn.load_recipe("fast").to_dict(),
    batch_size=64,
    plugins=(plugin,),
)
settings = ExecutorSettings(devices=("cpu",), workers=1, address=address)
with RayExecutor(setup, settings) as executor:
    while not executor.idle:
        executor.poll(0.5)
    print("ready", flush=True)
    time.sleep(600)
