"""`betanas find`: the order of things. Look, choose, search, confirm, rehearse, train, judge, export, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from betanas.data import DataSource, open_source
from betanas.declaration import refuse_unknown, whole
from betanas.errors import BetanasError, DataError, StudyError
from betanas.files import write_atomically
from betanas.finding.choose import choose, strategy_options
from betanas.finding.clock import Clock, seconds_used
from betanas.finding.finetuned import FineTuned, check_finetuned, fine_tune
from betanas.finding.listener import FindListener
from betanas.finding.look import Look, look_at, words
from betanas.finding.place import Place, Plan, refuse_other
from betanas.finding.settable import MACHINE, SETTABLE
from betanas.finding.timetable import Timetable, confirmed_by, make_timetable
from betanas.finding.winner import Winner, winner
from betanas.quantities import format_count, format_seconds
from betanas.search.settings import DURATION, SETTINGS, ResumeSettings, SearchSettings
from betanas.search.study import Study
from betanas.training.budget import Budget

if TYPE_CHECKING:
    from betanas.finding.ending import Ending, Rehearsed

_COUNT = whole(1, 100, example="3")


@dataclass(frozen=True)
class Found:
    """What was found: a model that has been trained, judged, exported and checked.

    Attributes:
        folder: where it lies, ready for `betanas predict`.
        report: the report's file; None where nothing is installed that draws it.
        advice: one paragraph.
        document: everything that was measured, as plain JSON; also in `find.json`.
        finished_before: whether an earlier call had finished it.
    """

    folder: Path
    report: Path | None
    advice: str
    document: Mapping[str, Any]
    finished_before: bool = False

    @classmethod
    def of(cls, place: Place, document: Mapping[str, Any], *, before: bool = False) -> Found:
        """What a finished folder holds."""
        report = place.folder / document["report"] if document["report"] else None
        return cls(place.folder, report, document["advice"], document, before)


def find(
    data: str | Path,
    *,
    time: str | Budget,
    to: str | Path,
    top: int | None = None,
    seeds: int | None = None,
    finetuned: str | None = None,
    listener: FindListener | None = None,
    began: float | None = None,
    **given: Any,
) -> Found:
    """Find a network for images within a time, train it, and give it in a form that can be used.

    Called again with the same arguments after it was interrupted, it goes on with the time that was left.

    Args:
        data: a data set's name, or a folder with a folder of images for each class.
        time: wall-clock for everything: `30m`.
        to: the model's folder, a new one.
        top: how many of the search's leaders are trained again.
        seeds: fresh trainings of each.
        finetuned: one of timm's networks with pretrained weights, which is fine-tuned for a trial's seconds and set
            beside the winner in the advice.
        listener: who is told what happens.
        began: when the time began, by `time.monotonic`; now where it is not given.
        given: settings of a search (`SETTABLE` lists them), in place of what would be chosen.

    Raises:
        UserError: something about it cannot work; nothing was written.
        BetanasError: no network could be trained.
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    began, listener, place = monotonic() if began is None else began, listener or FindListener(), Place(to)
    asked = _asked(data, time, {"top": top, "seeds": seeds}, given)
    if finetuned is not None:
        check_finetuned(finetuned)
        asked["finetuned"] = finetuned
    place.check(asked["data"])
    plan = place.plan()
    if plan is not None:
        refuse_other(asked, plan, place)
        if (document := place.result()) is not None:
            return Found.of(place, document, before=True)
    with place.held():
        before = seconds_used(place.used) if plan is not None else 0.0
        clock = Clock(before, began)
        with clock.kept(place.used):
            return _Finding(place, clock, listener, asked, given).run(plan)


def _asked(data: str | Path, time: str | Budget, counts: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, checked as far as each value can be alone, as JSON holds it."""
    refuse_unknown(given, SETTABLE, what="A find")
    typed = {name: value for name, value in given.items() if value is not None and name not in MACHINE}
    values = {name: SETTINGS[name].kind.write(SETTINGS[name].read(value)) for name, value in typed.items()}
    for name, count in counts.items():
        if count is not None:
            values[name] = _counted(name, count)
    folder = Path(data).expanduser()
    source = str(folder.resolve()) if folder.is_dir() else str(data)
    budget = replace(SETTINGS["time"], flag="--time").read(time)
    document: dict[str, Any] = json.loads(json.dumps({"data": source, "time": str(DURATION.read(budget)), **values}))
    return document


def _counted(name: str, value: Any) -> int:
    try:
        return int(_COUNT.read(value))
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"--{name} must be {_COUNT.rule}.", value=value, hint=f"Type, for example, --{name} {_COUNT.example}."
        ) from error


class _Finding:
    """One session of a find."""

    def __init__(
        self,
        place: Place,
        clock: Clock,
        listener: FindListener,
        asked: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        self._place = place
        self._clock = clock
        self._listener = listener
        self._asked = asked
        self._given = given
        self._machine = {name: given[name] for name in MACHINE if given.get(name) is not None}

    def run(self, plan: Plan | None) -> Found:
        """Do what is still to be done."""
        source = self._open()
        look = look_at(source)
        self._listener.on_part("Images", words(look))
        if plan is None:
            plan = self._make_plan(source, look)
        else:
            self._check_images(source, plan)
            left = plan.timetable.total - self._clock.elapsed
            self._listener.on_part(
                "Going on", (f"{format_seconds(max(left, 0.0))} of {self._asked['time']} are left.",)
            )
        self._search(plan)
        rehearsed = self._rehearse()
        self._confirm(plan, rehearsed)
        return self._finish(plan, look, rehearsed)

    # Looking and choosing --------------------------------------------------------------------------------------------

    def _open(self) -> DataSource:
        root = self._given.get("data_root")
        return open_source(self._asked["data"], root=Path(root).expanduser() if root else None)

    def _check_images(self, source: DataSource, plan: Plan) -> None:
        if source.fingerprint != plan.fingerprint:
            raise DataError(
                "The images must be the same as when this find began.",
                value=source.name,
                hint="Put them back as they were, or choose another folder with --to for the new ones.",
            )

    def _make_plan(self, source: DataSource, look: Look) -> Plan:
        from betanas.data import prepare
        from betanas.finding.lesson import prepare_lesson
        from betanas.finding.pace import measure_pace
        from betanas.search.executors.slots import plan_slots
        from betanas.search.settings import MachineSettings
        from betanas.spaces import get_space
        from betanas.training.recipe import recipe_for

        slots = plan_slots(MachineSettings(**self._machine))
        accelerated, total = slots[0].device != "cpu", Budget.parse(self._asked["time"]).amount
        chosen = choose(look, seconds=total, accelerated=accelerated).settings()
        chosen = {name: value for name, value in chosen.items() if name not in self._asked}
        settings = self._settings({**chosen, "time": total, "budget": self._asked.get("budget", "1s")})
        budget = settings.training.budget if "budget" in self._asked else None
        if budget is not None and budget.unit != "seconds":
            raise StudyError(
                "The budget of a trial must be a time, since everything has to end in one.",
                value=str(budget),
                hint="Type, for example, --budget 10s.",
            )
        search, training, images = settings.search, settings.training, settings.data
        space = get_space(search.space, search.preset, ranges=search.ranges, fixed=search.fixed, blocks=search.blocks)
        recipe = recipe_for(training.recipe, mirror_safe=source.mirror_safe, flip=training.flip)
        recipe = recipe.with_settings(batch_size=training.batch_size or recipe.batch_size)
        resolution = images.resolution or 0
        prepare(source, resolution=resolution, on_progress=self._listener.searching().on_images_read)
        lesson = prepare_lesson(source, settings, recipe, seconds=total)
        if lesson is not None:
            chosen |= lesson.settings
            self._listener.on_part("Teacher", lesson.words)
        pace = measure_pace(
            source,
            space,
            recipe,
            resolution=resolution,
            seed=search.seed,
            validation_share=images.validation_share,
            test=look.test,
            device=settings.machine.devices[0],
            data_root=Path(settings.machine.data_root) if settings.machine.data_root else None,
        )
        timetable = make_timetable(
            total,
            self._clock.elapsed,
            pace,
            workers=len(slots),
            trial=budget.amount if budget else None,
            top=self._asked.get("top"),
            seeds=self._asked.get("seeds"),
        )
        if budget is None:
            chosen["budget"] = str(Budget(timetable.trial, "seconds"))
        if not accelerated and "max_macs" not in self._asked:
            chosen["max_macs"] = pace.most_macs(timetable.trial)
        options = strategy_options(
            search.strategy,
            trials=timetable.trials,
            parameters=len(space.free),
            beside=pace.beside,
            trial=timetable.trial,
            least=pace.least_trial,
            learns=bool(search.prior),
        )
        if options:
            chosen["strategy_options"] = options
        seen = timetable.trial / (pace.step * pace.steps_per_epoch)
        words = _plan_words(
            search.space,
            resolution,
            recipe.batch_size,
            timetable,
            seen,
            shorter="least" in options,
            most_macs=chosen.get("max_macs"),
        )
        self._listener.on_part("Plan", words)
        return Plan(self._asked, chosen, timetable, source.fingerprint)

    def _settings(self, chosen: Mapping[str, Any]) -> SearchSettings:
        typed = {name: value for name, value in self._asked.items() if name in SETTINGS}
        time = Budget(chosen["time"], "seconds")
        taught = {name: chosen[name] for name in ("teacher", "teacher_share") if name in chosen}
        values = {**chosen, **typed, **taught, **self._machine, "time": time}
        return SearchSettings(study=str(self._place.search), **values)

    # Searching -------------------------------------------------------------------------------------------------------

    def _search(self, plan: Plan) -> None:
        from betanas.search.run import resume, search

        listener, left = self._listener.searching(), plan.timetable.searched - self._clock.elapsed
        if not (self._place.search / "study.sqlite").exists():
            self._listener.on_part("Search", ())
            self._place.write_plan(plan)
            seconds = round(max(left, plan.timetable.trial), 1)
            try:
                study = search(self._settings({**plan.chosen, "time": seconds}), listener=listener)
            except BaseException:
                if not (self._place.search / "study.sqlite").exists():
                    self._place.forget_plan()
                raise
            study.close()
        else:
            with Study.open(self._place.search) as study:
                finished, spent = study.state == "finished", sum(each.seconds for each in study.sessions())
            if not finished and left > plan.timetable.trial:
                self._listener.on_part("Search", ())
                changes = ResumeSettings(time=Budget(round(spent + left, 1), "seconds"), **self._machine)
                resume(self._place.search, changes, listener=listener).close()
        with Study.open(self._place.search) as study:
            trials = study.trials()
            if not any(each.state == "completed" for each in trials):
                last = next((each.reason for each in reversed(trials) if each.reason), "")
                raise BetanasError(
                    f"No network could be trained in the time for the search. {last}".strip(),
                    hint="Choose another folder with --to, and a longer --time.",
                )

    def _rehearse(self) -> Rehearsed:
        """The ending, with the leader of the search: what it takes is known before its time is given away."""
        self._listener.on_part("Rehearsal", ())
        with closing(Study.open(self._place.search)) as study:
            return self._ending(study, winner(study)).rehearse()

    def _ending(self, study: Study, won: Winner) -> Ending:
        from betanas.finding.ending import Ending
        from betanas.search.planning import job_of
        from betanas.training.trainer import Trainer

        root = study.plan.machine.data_root
        devices = SETTINGS["devices"].read(self._machine.get("devices") or study.plan.machine.devices)
        trainer = Trainer(device=devices[0], threads=study.plan.machine.threads, data_root=Path(root) if root else None)
        job = replace(job_of(study.plan, won.network, seed=study.plan.search.seed), keep=True, test=True)
        return Ending(job, trainer, study, self._place.training, self._place.work, self._place.folder.absolute().name)

    def _confirm(self, plan: Plan, rehearsed: Rehearsed) -> None:
        from betanas.search.studies.confirmation import confirm

        table = plan.timetable
        left = confirmed_by(table, rehearsed.closing) - self._clock.elapsed
        if left < table.trial or (self._place.training / "plan.json").exists():
            return
        self._listener.on_part("Confirmation", ())
        confirm(
            self._place.search,
            top=table.top,
            seeds=table.seeds,
            changes=ResumeSettings(**self._machine),
            listener=self._listener.confirming(),
            seconds=left,
        )

    def _fine_tuned(self, plan: Plan, end: Ending, closing: float) -> FineTuned | None:
        """A pretrained network, where one was asked for and the winner's training leaves it a trial's seconds."""
        name, table = self._asked.get("finetuned"), plan.timetable
        if name is None:
            return None
        folder = self._place.work / "finetuned"
        left = table.total - self._clock.elapsed
        if left - closing < 3 * table.trial and not folder.exists():
            self._listener.on_note(f"There is no time to fine-tune {name}: the winner's training comes first.")
            return None
        self._listener.on_part("Fine-tuning", (f"{name}, for {format_seconds(table.trial)}.",))
        job = replace(end.job, keep=False, test=False)
        return fine_tune(name, job, end.trainer, folder, seconds=table.trial)

    # Ending ----------------------------------------------------------------------------------------------------------

    def _finish(self, plan: Plan, look: Look, rehearsed: Rehearsed) -> Found:
        from betanas.finding import ending
        from betanas.finding.advice import Measured, advise, interval

        place, table = self._place, plan.timetable
        with closing(Study.open(place.search)) as study:
            won = winner(study)
            end = self._ending(study, won)
            job = end.job
            tuned = self._fine_tuned(plan, end, rehearsed.closing)
            left = max(table.total - self._clock.elapsed - rehearsed.closing, 0.0)
            self._listener.on_part(
                "Training", (f"{won.name[0].upper()}{won.name[1:]}, for about {format_seconds(left)}.",)
            )
            result = end.train(rehearsed, lambda: table.total - self._clock.elapsed, self._listener.on_point)
            answered = end.answer()
            export = end.export(answered)
            wrong = end.mistakes(place.training)
            completed = [each for each in study.trials() if each.state == "completed"]
            validation = len(end.trainer.divided(job.images).validation)
            measured = Measured(
                look=look,
                space=study.plan.search.space,
                trials=len(completed),
                resolution=job.images.resolution,
                params=won.params,
                baseline=won.name if won.baseline else "",
                predicted_latency=answered.predicted if answered else None,
                measured_latency=answered.measured if answered else None,
                latency_limit=study.plan.limits.latency,
                file_bytes=ending.weights_bytes(place.training),
                validation=result.top1 or 0.0,
                validation_images=validation,
                test=result.test_top1,
                test_images=look.test,
                confirmed=won.interval,
                trial_seconds=table.trial,
                training_seconds=result.training_seconds,
                epochs=result.epochs,
                mistakes=wrong,
                finetuned=tuned,
            )
            advice = advise(measured)
            drawn = end.report(place.folder / ending.REPORT, (advice,))
        ending.publish(export, place.folder)
        write_atomically(place.folder / ending.ADVICE, f"{advice}\n".encode())
        judged = measured.validation if measured.test is None else measured.test
        images = validation if measured.test is None else look.test
        document = {
            "data": look.name,
            "time": self._asked["time"],
            "space": measured.space,
            "resolution": measured.resolution,
            "trials": measured.trials,
            "network": won.name,
            "trial": won.trial,
            "params": measured.params,
            "macs": won.macs,
            "vector": dict(won.vector),
            "validation_accuracy": measured.validation,
            "validation_images": validation,
            "test_accuracy": measured.test,
            "test_images": look.test,
            "judged_on": "validation" if measured.test is None else "test",
            "interval": interval(judged, images),
            "confirmed": None if won.interval is None else {"mean": won.interval.mean, "trainings": won.interval.n},
            "finetuned": tuned
            and {**asdict(tuned), "interval": interval(tuned.accuracy, tuned.images), "judged_on": "validation"},
            "training_seconds": result.training_seconds,
            "training_steps": result.steps,
            "latency": measured.predicted_latency,
            "latency_measured": measured.measured_latency,
            "verified": {name: each.images for name, each in export.verification.items()},
            "report": ending.REPORT if drawn else "",
            "advice": advice,
            "seconds": round(self._clock.elapsed, 2),
        }
        shutil.rmtree(place.work / "rehearsal", ignore_errors=True)
        place.write_result(document)
        return Found.of(place, document)


def _plan_words(
    space: str,
    resolution: int,
    batch_size: int,
    table: Timetable,
    epochs: float,
    *,
    shorter: bool,
    most_macs: int | None,
) -> tuple[str, ...]:
    seen = (
        f"each sees the images about {epochs:.2g} times"
        if epochs >= 1
        else (f"each sees {epochs:.0%} of the images once, which is little: more --time helps first")
    )
    more = ", or more that are shorter," if shorter else ""
    limit = f" At most {format_count(most_macs)} multiply-accumulates: slower ones see too little." if most_macs else ""
    return (
        f"Space {space}, {resolution}x{resolution} pixels, {batch_size} images a step.{limit}",
        f"About {table.trials} trials of {format_seconds(table.trial)}{more} until {format_seconds(table.searched)}; "
        f"{seen}.",
        f"The best {table.top} and the model's maximum again with {table.seeds} fresh "
        f"{'seed' if table.seeds == 1 else 'seeds'} until {format_seconds(table.confirmed)}; the winner is trained for "
        f"about {format_seconds(table.training)}.",
        f"Everything ends after {format_seconds(table.total)}; less than {format_seconds(table.least)} would not be "
        "enough.",
    )
