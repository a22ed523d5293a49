"""An objective of one's own: accuracy, less a little for every layer that images pass one after another.

A deep and narrow network computes as little as a shallow and wide one and answers later, since its layers wait for each
other. Two layers cost as much here as a tenth of a point of accuracy.

    betanas search --data digits --space betanet3 --study runs/shallow --objective examples/custom_objective.py \
        --budget 6s --trials 12
"""

import betanas as bn
from betanas.search.records import TrialRecord

POINTS_A_LAYER = 0.0005


@bn.register_objective
def shallow(record: TrialRecord, blueprint: bn.Blueprint) -> float | None:
    """What the search maximises; None where a trial has no accuracy."""
    if record.top1 is None:
        return None
    return record.top1 - POINTS_A_LAYER * len(blueprint.layers)
