"""Plans as earlier versions wrote them."""

from __future__ import annotations

from typing import Any

from betanas.search.records import StudyPlan


def flat_document(plan: StudyPlan) -> dict[str, Any]:
    """A plan as studies of schema 2 and before kept it: its settings side by side, some of them in `options`."""
    document = plan.to_document()
    search, data, training, machine = (document[name] for name in ("search", "data", "training", "machine"))
    beside = ("space", "preset", "ranges", "strategy", "objective", "seed", "trials")
    return {
        **{name: search[name] for name in beside},
        "data": data["source"],
        "resolution": data["resolution"],
        **{name: training[name] for name in ("budget", "recipe", "batch_size")},
        **{name: document[name] for name in ("data_fingerprint", "classes", "in_channels", "recipe_settings")},
        "limits": document["limits"],
        "options": {
            **{name: machine[name] for name in ("data_root", "executor", "devices", "workers", "per_trial_devices")},
            "grace": machine["grace"],
            "validation_share": data["validation_share"],
            "stop_early": training["stop_early"],
            "plugins": search["plugins"],
            "strategy": search["strategy_options"],
        },
    }
