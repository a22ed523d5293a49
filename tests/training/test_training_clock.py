from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.training.budget import Budget
from betanas.training.clock import BudgetClock


class Machine:
    """A device with a queue and a time of its own: work takes time only once it is waited for."""

    def __init__(self) -> None:
        self.time = 0.0
        self.queued = 0.0
        self.waits = 0

    def launch(self, seconds: float) -> None:
        self.queued += seconds

    def synchronise(self) -> None:
        self.waits += 1
        self.time += self.queued
        self.queued = 0.0

    def now(self) -> float:
        return self.time


def run(clock: BudgetClock, machine: Machine, durations) -> float:
    spent = 0.0
    while clock.goes_on():
        clock.start()
        duration = next(durations)
        machine.launch(duration)
        spent += duration
        clock.count_step()
    clock.pause()
    return spent


def clock_on(machine: Machine, text: str, **settings) -> BudgetClock:
    return BudgetClock(
        Budget.parse(text),
        **{"steps_per_epoch": 10, "synchronise": machine.synchronise, "now": machine.now, **settings},
    )


def constant(seconds: float):
    while True:
        yield seconds


@given(step=st.floats(0.001, 3.0), interval=st.sampled_from([1, 4, 32]), expected=st.floats(0.0, 3.0))
def test_a_run_stops_within_one_percent_or_one_step(step, interval, expected):
    machine = Machine()
    clock = clock_on(machine, "20s", reading_interval=interval, expected_step=expected)
    spent = run(clock, machine, constant(step))
    assert clock.seconds == pytest.approx(spent)
    assert abs(spent - 20) <= max(0.2, step) + 1e-9


@given(durations=st.lists(st.floats(0.05, 0.15), min_size=50, max_size=50), interval=st.sampled_from([1, 32]))
def test_uneven_steps_stay_within_the_longer_of_one_percent_and_a_step(durations, interval):
    machine = Machine()
    clock = clock_on(machine, "30s", reading_interval=interval, expected_step=0.1)
    spent = run(clock, machine, (durations[i % 50] for i in range(10**6)))
    assert abs(spent - 30) <= max(0.3, max(durations))


def test_nothing_counts_while_it_is_paused():
    machine = Machine()
    clock = clock_on(machine, "100s")
    clock.start()
    machine.launch(2.0)
    clock.count_step()
    clock.pause()
    machine.time += 1000.0
    clock.pause()
    clock.start()
    clock.start()
    machine.launch(3.0)
    clock.count_step()
    clock.pause()
    assert clock.seconds == pytest.approx(5.0)


def test_a_queue_is_drained_seldom_and_each_step_near_the_end():
    machine = Machine()
    clock = clock_on(machine, "10s", reading_interval=32, expected_step=0.01)
    run(clock, machine, constant(0.01))
    assert clock.steps == pytest.approx(1000, abs=1)
    assert machine.waits < 1000 / 32 + 12


def test_readings_tell_when_the_device_was_waited_for():
    machine = Machine()
    clock = clock_on(machine, "100steps", reading_interval=4)
    clock.start()
    read = []
    for _ in range(9):
        machine.launch(1.0)
        read.append(clock.count_step())
    assert read == [True, False, False, False, True, False, False, False, True]
    assert clock.seconds == pytest.approx(9.0)


def test_seconds_are_extrapolated_between_readings():
    machine = Machine()
    clock = clock_on(machine, "100steps", reading_interval=4)
    clock.start()
    for _ in range(3):
        machine.launch(2.0)
        clock.count_step()
    assert machine.time == 2.0
    assert clock.seconds == pytest.approx(6.0)
    assert clock.fraction == pytest.approx(0.03)
    assert clock.next_fraction == pytest.approx(0.035)


@pytest.mark.parametrize(
    ("text", "until", "steps"),
    [
        ("25steps", "budget", 25),
        ("25steps", "epoch_end", 30),
        ("2epochs", "budget", 20),
        ("2.5epochs", "budget", 25),
        ("2.5epochs", "epoch_end", 30),
        ("0.01epochs", "budget", 1),
        ("7s", "budget", 14),
        ("7s", "epoch_end", 20),
        ("10s", "epoch_end", 20),
    ],
)
def test_where_a_run_ends(text, until, steps):
    machine = Machine()
    clock = clock_on(machine, text, until=until)
    run(clock, machine, constant(0.5))
    assert clock.steps == steps
    assert clock.fraction == 1.0


def test_a_budget_shorter_than_a_step_still_trains_one_step():
    machine = Machine()
    clock = clock_on(machine, "1s", expected_step=30.0)
    run(clock, machine, constant(30.0))
    assert clock.steps == 1


def test_processes_that_agree_on_times_stop_at_the_same_step():
    """A fast and a slow process, run in lock step as DistributedDataParallel runs them."""
    machines = [Machine(), Machine()]
    elapsed = [0.0, 0.0]

    def agreeing(rank):
        def agree(seconds: float) -> float:
            elapsed[rank] = seconds
            return max(elapsed)

        return agree

    clocks = [clock_on(machines[r], "10s", agree=agreeing(r), expected_step=0.1) for r in (0, 1)]
    # The slow one reads first, so that the maximum is known when the fast one asks.
    stopped = []
    while not stopped:
        for rank, step in ((1, 0.13), (0, 0.1)):
            clocks[rank].start()
            machines[rank].launch(step)
            clocks[rank].count_step()
        stopped = [rank for rank in (0, 1) if not clocks[rank].goes_on()]
    assert stopped == [0, 1]
    assert clocks[0].seconds == pytest.approx(clocks[1].seconds)


def test_a_checkpoint_carries_the_count():
    machine = Machine()
    clock = clock_on(machine, "10s")
    clock.start()
    for _ in range(4):
        machine.launch(1.0)
        clock.count_step()
    clock.pause()
    other = clock_on(machine, "10s")
    other.load_state_dict(clock.state_dict())
    assert (other.steps, other.seconds) == (4, pytest.approx(4.0))
    run(other, machine, constant(1.0))
    assert other.steps == 10


def test_expected_steps_follow_what_was_measured():
    machine = Machine()
    clock = clock_on(machine, "10s", expected_step=0.1)
    assert clock.expected_steps == 100
    clock.start()
    machine.launch(0.3)
    clock.count_step()
    assert clock.expected_steps < 100
    assert clock_on(machine, "3epochs").expected_steps == 30


@pytest.mark.parametrize("interval", [1, 32])
def test_time_that_no_step_explains_is_noticed_and_left_out(interval):
    machine = Machine()
    clock = clock_on(machine, "8s", reading_interval=interval, expected_step=0.01)
    clock.start()
    for step in range(200):
        machine.launch(0.01)
        if step == 100:
            machine.time += 12.0  # the process was stopped
        clock.count_step()
    clock.pause()
    assert clock.gap == pytest.approx(12.0, abs=0.5)
    assert clock.seconds == pytest.approx(2.0, abs=0.5)


def test_uneven_steps_and_slow_disks_are_no_gap():
    for late, settings in ((2.5, {}), (12.0, {"notices_gaps": False}), (12.0, {"expected_step": 1.0})):
        machine = Machine()
        clock = clock_on(machine, "60s", **{"expected_step": 0.01, **settings})
        clock.start()
        machine.launch(late)
        clock.count_step()
        assert (clock.gap, clock.seconds) == (0.0, pytest.approx(late))
