"""A search with a trial of a second that is stopped meanwhile (Ctrl-Z), and says what came of the trial."""

from assignments import assignment, digits_job

import betanas as bn
from betanas.search.executors.base import ExecutorSettings, Patience, TrialEnded, TrialStarted, WorkerSetup
from betanas.search.executors.local import LocalExecutor

vector = bn.published("betanet3") | {"G0": 1.0, "G1": 1.0}
network = bn.get_space("betanet3").blueprint(vector, resolution=16, num_classes=10, in_channels=1)
patience = Patience(grace=3.0)
with LocalExecutor(WorkerSetup(digits_job()), ExecutorSettings(devices=("cpu",), patience=patience)) as executor:
    while not executor.idle:
        executor.poll(0.5)
    executor.submit(assignment(network, budget="1s"))
    ended = None
    while ended is None:
        for event in executor.poll(0.5):
            if isinstance(event, TrialStarted):
                print("started", flush=True)
            if isinstance(event, TrialEnded):
                ended = event.result
    print(ended.outcome, ended.cause, flush=True)
