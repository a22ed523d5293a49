"""How many threads a suggestion may use: the executor knows, the search passes it on, the strategy keeps to it.

What `gpei` and `report` do with the number is in `test_strategies_gpei.py`, what executors answer in
`test_executors_contract.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import betanas as bn
from betanas.search.executors.inline import InlineExecutor
from betanas.search.propose import Observation, Suggestion
from betanas.search.propose.sequences import Sobol


def test_the_executors_number_reaches_the_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    answers = iter([3, 5])
    suggest = Sobol.propose

    @contextmanager
    def proposing(_: InlineExecutor) -> Iterator[int]:
        yield next(answers, 7)

    def watched(strategy: Sobol, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        seen.append(strategy.threads)
        return suggest(strategy, observations, known)

    monkeypatch.setattr(InlineExecutor, "proposing", proposing)
    monkeypatch.setattr(Sobol, "propose", watched)
    bn.search(
        data="digits",
        study=str(tmp_path / "study"),
        resolution=16,
        budget="1steps",
        trials=2,
        strategy="sobol",
        executor="inline",
    ).close()
    # The first is asked when the search is checked, before there is an executor.
    assert seen == [1, 3, 5]
