"""Reading and writing a study's records. Each method is one transaction: it happened, or it did not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, Row, delete, event, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from betanas.blueprint import Blueprint, Layer
from betanas.errors import BlueprintError, StoreError, StudyError, UserError
from betanas.search.records import (
    APART,
    COMPARISON,
    Attachment,
    ComparisonPlan,
    Purpose,
    SessionRecord,
    StudyPlan,
    TrialRecord,
    Widening,
    result_fields,
)
from betanas.search.store.connection import connect, connect_to_copy, explained, writing
from betanas.search.store.containment import refuse_links, with_companions
from betanas.search.store.heartbeat import beating
from betanas.search.store.integrity import find_damage, refuse_foreign_objects
from betanas.search.store.location import StudyLocation, hide_passwords
from betanas.search.store.migrations import has_store, lock_schema, migrate, schema_version
from betanas.search.store.patience import PATIENCE_SECONDS, patient
from betanas.search.store.schema import (
    LOCK_SPACE,
    SCHEMA_VERSION,
    attachments,
    attempts,
    curve_points,
    metadata,
    recipes,
    schema_info,
    sessions,
    studies,
    trials,
)
from betanas.search.wall_clock import WallClock
from betanas.training.budget import Budget
from betanas.training.job import Job
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint, TrialResult

Request = Literal["run", "pause", "stop"]

# Seconds without a sign of life after which a search in a shared study counts as dead; it gives one every 15.
SILENCE_SECONDS = 60.0

_RECORD_COLUMNS = [column for column in trials.c if column.name not in ("id", "study_id", "number", "blueprint", "job")]

# Fields of a record that are no columns of their names. The share stands beside the job, where it is not the whole.
_KEPT_ELSEWHERE = ("curve", "index", "budget", "share")
_SHARE = trials.c.job["share"].as_float().label("share")


@patient
class Store:
    """A study's records in its database.

    Made by `Store.create` or `Store.open`. Only the process that holds the study's lock writes trials; any process may
    read, or leave a request.

    Attributes:
        location: the study's place.
        patience: seconds for which a server that went away is waited for.
        damage: what cannot be read and was left out, in words; a study that is to be written has none.
    """

    def __init__(self, engine: Engine, location: StudyLocation, study_id: int, *, patience: float = 0.0) -> None:
        self._engine = engine
        self._study_id = study_id
        self._wall_clock = WallClock()
        self.location = location
        self.patience = patience
        self.damage: tuple[str, ...] = ()
        self._file = _identity(location)

    @classmethod
    def create(cls, location: StudyLocation, plan: StudyPlan | ComparisonPlan) -> Store:
        """Start a new study.

        Raises:
            StudyError: there is one already.
            StoreError: the place cannot be written.
        """
        if location.database is None:
            return cls._create_on_server(location, plan)
        refuse_taken(location)
        # Made beside its place and moved there whole: a reader, or a restart after a crash, finds it complete or not.
        unfinished = location.database.with_suffix(".unfinished")
        with explained(location):
            _remove_database(unfinished)
            engine = connect(replace(location, url=location.url.set(database=str(unfinished))))
            try:
                with writing(engine) as connection:
                    _create_tables(connection)
                    _insert_study(connection, location.name, plan)
                engine.dispose()
                unfinished.rename(location.database)
            except BaseException:
                engine.dispose()
                _remove_database(unfinished)
                raise
        return cls.open(location)

    @classmethod
    def _create_on_server(cls, location: StudyLocation, plan: StudyPlan | ComparisonPlan) -> Store:
        engine = connect(location)
        with explained(location):
            with writing(engine) as connection:
                # Of several that begin at once on an empty server, one makes the tables and the others wait for it.
                lock_schema(connection)
                if not has_store(connection):
                    _create_tables(connection)
            migrate(engine)
            with writing(engine) as connection:
                if _study_id(connection, location.name) is not None:
                    raise _taken(location)
                study_id = _insert_study(connection, location.name, plan)
        return cls(engine, location, study_id, patience=PATIENCE_SECONDS)

    @classmethod
    def open(cls, location: StudyLocation, *, read_only: bool = False) -> Store:
        """Open an existing study; an older one is brought to today's schema first (a copy, where it is only read).

        Raises:
            StudyError: there is no study, or it is of a newer version.
        """
        hint = "Start one with betanas search, or list the folder to see what is there."
        if location.database is not None and not location.database.is_file():
            raise StudyError("The study must exist.", value=location.text, hint=hint)
        if not read_only:
            refuse_links(location)
        engine = connect(location, read_only=read_only)
        with explained(location):
            if location.database is not None:
                with engine.connect() as connection:
                    refuse_foreign_objects(connection)
            version = schema_version(engine)
            if version == 0:
                raise StudyError("The database must hold a BetaNAS study.", value=location.text, hint=hint)
            if read_only and version < SCHEMA_VERSION:
                engine.dispose()
                if location.database is None:
                    raise StudyError(
                        f"The server's studies are of schema {version}, and reading one does not change them all.",
                        value=location.text,
                        hint="Bring them to today's with betanas resume, while no older BetaNAS searches there.",
                    )
                engine = connect_to_copy(location)
            migrate(engine)
            damage = _look_through(engine, location, leave_out=read_only)
            with engine.connect() as connection:
                study_id = _study_id(connection, location.name)
                if study_id is None and location.directory is not None:
                    # The folder was renamed or copied: a directory holds one study, whatever it is called.
                    study_id = connection.execute(select(studies.c.id)).scalar()
        if study_id is None:
            raise StudyError("The database has no study of that name.", value=location.name, hint=hint)
        store = cls(engine, location, study_id, patience=0.0 if read_only else PATIENCE_SECONDS)
        store.damage = damage
        return store

    @classmethod
    def exists(cls, location: StudyLocation) -> bool:
        """Whether there is a study of any kind."""
        if location.database is not None:
            return location.database.is_file()
        engine = connect(location)
        with explained(location):
            if schema_version(engine) == 0:
                return False
            with engine.connect() as connection:
                return _study_id(connection, location.name) is not None

    @property
    def shared(self) -> bool:
        """Whether several searches may work on the study at once: in a database server, not in a file."""
        return self.location.directory is None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Held by one search of a shared study at a time, while it chooses what to train next.

        The database frees the turn when its holder's connection ends, however that happens.
        """
        if not self.shared:
            yield
            return
        # Held by the connection, outside any transaction: what is done with the turn may take minutes, and its errors
        # are its own. A connection that is lost meanwhile has given the turn back.
        taken = self._take_turn()
        try:
            yield
        finally:
            with suppress(DBAPIError), taken:
                taken.execute(select(func.pg_advisory_unlock(LOCK_SPACE, self._study_id)))

    def _take_turn(self) -> Connection:
        with explained(self.location):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                connection.execute(select(func.pg_advisory_lock(LOCK_SPACE, self._study_id)))
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
        return connection

    def beating(self, session: int) -> AbstractContextManager[None]:
        """Signs of life of a session for as long as the block runs (see `heartbeat`)."""
        this_session = (sessions.c.study_id == self._study_id, sessions.c.number == session)

        def beat(engine: Engine) -> None:
            with writing(engine) as connection:
                connection.execute(update(sessions).where(*this_session).values(seen=self._clock()))

        return beating(lambda: connect(self.location), beat)

    def now(self) -> datetime:
        """The time of day for records, in UTC; setting the system's clock does not move it (`WallClock`)."""
        return self._wall_clock.now()

    def close(self) -> None:
        """Let go of the database; its write-ahead log is folded in."""
        self._engine.dispose()

    # The study ----------------------------------------------------------------------------------------------

    def plan(self) -> StudyPlan:
        """The plan of a search, with the number of trials as it stands now.

        Raises:
            StudyError: it is damaged, or the study is a comparison.
        """
        row = self._plan_row()
        if row.plan.get("kind") == COMPARISON:
            raise StudyError(
                "This needs a search, and the study is a comparison.",
                value=self.location.text,
                hint="A comparison has betanas status, resume, report and compare.",
            )
        try:
            return StudyPlan.from_document(row.plan).changed(trials=row.trials_planned)
        except (UserError, TypeError, KeyError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            hint = f"{type(error).__name__}: {error}"
            raise StudyError("The study's plan is damaged.", value=self.location.text, hint=hint) from error

    @property
    def is_comparison(self) -> bool:
        """Whether the study trains networks that it was given, instead of searching for some."""
        return bool(self._plan_row().plan.get("kind") == COMPARISON)

    def comparison(self) -> ComparisonPlan:
        """The plan of a comparison.

        Raises:
            StudyError: it is damaged, or the study is a search.
        """
        document = self._plan_row().plan
        if document.get("kind") != COMPARISON:
            raise StudyError("The study must be a comparison.", value=self.location.text)
        try:
            return ComparisonPlan.from_document(document)
        except (UserError, TypeError, KeyError, AttributeError) as error:
            raise StudyError("The study's plan is damaged.", value=self.location.text, hint=str(error)) from error

    def trials_planned(self) -> int:
        """How many trials the search is to run, as it stands now."""
        query = select(studies.c.trials_planned).where(studies.c.id == self._study_id)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def created(self) -> datetime:
        """When the study was started."""
        query = select(studies.c.created).where(studies.c.id == self._study_id)
        with self._reading() as connection:
            created: datetime = connection.execute(query).scalar_one()
        return created

    def extend(self, changes: Mapping[str, object]) -> None:
        """Change how far the search goes on: `trials`, `time`, `training_time` and `widen`, by name."""
        plan = self.plan().changed(**changes)
        self._update_study(plan=plan.to_document(), trials_planned=plan.search.trials)

    def widen(self, widenings: Sequence[Widening]) -> None:
        """Keep which ranges the search has extended so far."""
        self._update_study(plan=replace(self.plan(), widenings=tuple(widenings)).to_document())

    def set_trials_planned(self, trials_planned: int) -> None:
        """Change how many trials the search is to run."""
        self._update_study(trials_planned=trials_planned)

    def request(self) -> Request:
        """What a person asks of the search: `run`, `pause` (end after the current trials) or `stop` (end now)."""
        with self._reading() as connection:
            asked = connection.execute(select(studies.c.request).where(studies.c.id == self._study_id)).scalar_one()
        return asked if asked in get_args(Request) else "run"

    def set_request(self, request: Request) -> None:
        """Ask something of the search."""
        self._update_study(request=request)

    # Sessions -----------------------------------------------------------------------------------------------

    def begin_session(
        self,
        *,
        host: str,
        pid: int,
        command: str,
        versions: Mapping[str, str],
        hardware: Mapping[str, str],
        ago: float = 0.0,
    ) -> int:
        """Note that a process starts to search, or did so that many seconds ago; returns the session's number."""
        with self._writing() as connection:
            number = connection.execute(
                select(func.coalesce(func.max(sessions.c.number) + 1, 0)).where(sessions.c.study_id == self._study_id)
            ).scalar_one()
            connection.execute(
                insert(sessions).values(
                    study_id=self._study_id,
                    number=number,
                    started=self._clock() - timedelta(seconds=ago),
                    seen=self._clock(),
                    ending="",
                    host=host,
                    pid=pid,
                    command=command,
                    versions=dict(versions),
                    hardware=dict(hardware),
                )
            )
            connection.execute(update(studies).where(studies.c.id == self._study_id).values(request="run"))
        return int(number)

    def end_session(self, number: int, ending: str) -> None:
        """Note how a search ended."""
        self._update_session(number, seen=self._clock(), ended=self._clock(), ending=ending)

    def living_sessions(self) -> tuple[int, ...]:
        """Numbers of the sessions of a shared study that have given a sign of life lately, by the server's clock.

        A study in a directory has none but its caller's own: the lock sees to that.
        """
        if not self.shared:
            return ()
        query = select(sessions.c.number).where(
            sessions.c.study_id == self._study_id,
            sessions.c.ended.is_(None),
            sessions.c.seen > func.now() - timedelta(seconds=SILENCE_SECONDS),
        )
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

    def confirming_sessions(self) -> frozenset[int]:
        """The sessions that have trained a confirmation."""
        chosen = select(trials.c.session).where(
            trials.c.study_id == self._study_id, trials.c.purpose == "confirmation", trials.c.attempts > 0
        )
        with self._reading() as connection:
            return frozenset(connection.execute(chosen.distinct()).scalars())

    def sessions(self) -> tuple[SessionRecord, ...]:
        """Every process that searched, in order."""
        with self._reading() as connection:
            rows = connection.execute(
                select(sessions).where(sessions.c.study_id == self._study_id).order_by(sessions.c.number)
            ).all()
        return tuple(
            SessionRecord(
                index=row.number,
                started=row.started,
                seen=row.seen,
                ended=row.ended,
                ending=row.ending,
                host=row.host,
                pid=row.pid,
                command=hide_passwords(row.command),  # searches of before it was hidden there
                versions=row.versions,
                hardware=row.hardware,
            )
            for row in rows
        )

    # Trials -------------------------------------------------------------------------------------------------

    def add_trial(self, record: TrialRecord, network: Job | Blueprint | Mapping[str, Any]) -> None:
        """Note a new trial, in whatever state it begins.

        Args:
            record: what is known of it.
            network: its job; or its network alone, where it is not to be trained.
        """
        values = {name: value for name, value in asdict(record).items() if name not in _KEPT_ELSEWHERE}
        values |= {"vector": dict(record.vector), "budget": str(record.budget or "")}
        with self._writing() as connection:
            if isinstance(network, Job):
                values["job"] = _rest_of(network) | ({} if record.share == 1.0 else {"share": record.share})
                self._add_recipe(connection, record.recipe, network.recipe)
                network = network.network
            plain = network.to_dict() if isinstance(network, Blueprint) else network
            values |= {"study_id": self._study_id, "number": record.index, "blueprint": json.dumps(_compact(plain))}
            made = connection.execute(insert(trials).values(**values))
            if record.state == "running" and made.inserted_primary_key:
                self._begin_attempt(connection, made.inserted_primary_key[0], record.attempts, record.session)

    def begin_attempt(self, index: int, session: int, *, seen: int) -> bool:
        """Begin an attempt at a trial that waits for its first, or whose last one was cut off or is to be repeated.

        Args:
            index: of the trial.
            session: the caller's.
            seen: the attempts that the caller knows of.

        Returns:
            Whether it was begun: not where the trial has ended, or another search has begun an attempt meanwhile.
        """
        with self._writing() as connection:
            row = self._trial_row(connection, index)
            changed = connection.execute(
                update(trials)
                .where(trials.c.id == row.id, trials.c.state.in_(("waiting", "running")), trials.c.attempts == seen)
                .values(state="running", attempts=seen + 1, session=session, started=self.now())
            )
            if changed.rowcount == 1:
                self._begin_attempt(connection, row.id, seen + 1, session)
                return True
            # Begun already by this very call, whose answer was lost with the connection?
            now = self._trial_row(connection, index)
            return bool(now.state == "running" and (now.attempts, now.session) == (seen + 1, session))

    def end_attempt(self, index: int, attempt: int, result: TrialResult) -> bool:
        """Note that an attempt failed in a way that is worth another try; the trial itself goes on.

        Returns:
            Whether it was the trial's latest attempt, and the trial has not ended meanwhile.
        """
        with self._writing() as connection:
            row = self._trial_row(connection, index)
            if row.state != "running" or row.attempts != attempt:
                return False
            self._end_attempt(connection, row.id, attempt, result)
        return True

    def add_point(self, index: int, attempt: int, point: CurvePoint) -> None:
        """Add a point to a running trial's curve."""
        with self._writing() as connection:
            row = self._trial_row(connection, index)
            known = select(curve_points.c.step).where(
                curve_points.c.trial_id == row.id,
                curve_points.c.attempt == attempt,
                curve_points.c.step == point.step,
            )
            if connection.execute(known).first() is None:
                connection.execute(insert(curve_points).values(trial_id=row.id, attempt=attempt, **asdict(point)))

    def end_trial(self, index: int, attempt: int, result: TrialResult, *, objective: float | None) -> bool:
        """Note a trial's end, once: a trial that has ended does not change, nor does an older attempt's result.

        Returns:
            Whether it was noted.
        """
        with self._writing() as connection:
            row = self._trial_row(connection, index)
            changed = connection.execute(
                update(trials)
                .where(trials.c.id == row.id, trials.c.state == "running", trials.c.attempts == attempt)
                .values(**result_fields(result), objective=objective, ended=self.now())
            )
            if changed.rowcount != 1:
                return False
            self._end_attempt(connection, row.id, attempt, result)
            connection.execute(
                delete(curve_points).where(curve_points.c.trial_id == row.id, curve_points.c.attempt == attempt)
            )
            if result.curve:
                connection.execute(
                    insert(curve_points),
                    [{"trial_id": row.id, "attempt": attempt, **asdict(point)} for point in result.curve],
                )
        return True

    def trials(
        self, *, curves: bool = False, most_curves: int | None = None, apart: Purpose | None = None
    ) -> tuple[TrialRecord, ...]:
        """The study's trials in the order of their index.

        Args:
            curves: each with its last attempt's learning curve.
            most_curves: none with its curve where there are more trials than this.
            apart: `confirmation` or `baseline`: those trials, which are kept apart, instead of its own.
        """
        wanted = trials.c.purpose == apart if apart else trials.c.purpose.not_in(APART)
        with self._reading() as connection:
            rows = connection.execute(
                select(trials.c.id, trials.c.number, _SHARE, *_RECORD_COLUMNS)
                .where(trials.c.study_id == self._study_id, wanted)
                .order_by(trials.c.number)
            ).all()
            few = most_curves is None or len(rows) <= most_curves
            points = self._curves(connection, rows) if curves and few else {}
        return tuple(_record(row, points.get(row.id, ())) for row in rows)

    def trial(self, index: int) -> TrialRecord:
        """One trial with its learning curve.

        Raises:
            StudyError: there is no such trial.
        """
        with self._reading() as connection:
            row = self._trial_row(connection, index)
            return _record(row, self._curves(connection, [row]).get(row.id, ()))

    def blueprint(self, index: int) -> Blueprint:
        """The network of a trial.

        Raises:
            StudyError: there is no such trial, or its network is not one of layers that a blueprint describes.
            BlueprintError: its stored blueprint is damaged.
        """
        with self._reading() as connection:
            text = self._trial_row(connection, index).blueprint
        try:
            network = _expand(json.loads(text))
            if "network" not in network:
                return Blueprint.from_dict(network)
        except (BlueprintError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise BlueprintError(
                f"The network of trial {index} is damaged.", value=self.location.text, hint=str(error)
            ) from error
        raise StudyError(f"The network of trial {index} must have a blueprint.", value=network["network"])

    def recipes(self) -> Mapping[str, Recipe]:
        """The recipes that the study's trials train with, by their digests.

        Raises:
            RecipeError: one is damaged.
        """
        query = select(recipes.c.digest, recipes.c.settings).where(recipes.c.study_id == self._study_id)
        with self._reading() as connection:
            return {row.digest: Recipe.from_dict(row.settings) for row in connection.execute(query)}

    def job(self, index: int) -> Job:
        """What was, or is to be, trained in a trial.

        Raises:
            StudyError: there is no such trial, or it is of before trials held their jobs.
        """
        with self._reading() as connection:
            row = self._trial_row(connection, index)
            if row.job is None:
                raise StudyError("The trial must hold what was trained.", value=index)
            recipe = connection.execute(
                select(recipes.c.settings).where(recipes.c.study_id == self._study_id, recipes.c.digest == row.recipe)
            ).scalar_one()
        network = _expand(json.loads(row.blueprint))
        return Job.from_dict({**row.job, "architecture": network, "recipe": recipe})

    def attempts(self, index: int) -> tuple[Mapping[str, Any], ...]:
        """What happened to each attempt at a trial: number, session, started, ended, cause, reason."""
        with self._reading() as connection:
            row = self._trial_row(connection, index)
            found = connection.execute(
                select(attempts).where(attempts.c.trial_id == row.id).order_by(attempts.c.number)
            ).mappings()
            return tuple({name: value for name, value in one.items() if name != "trial_id"} for one in found)

    # Attachments --------------------------------------------------------------------------------------------

    def attach(self, kind: str, name: str, document: Mapping[str, Any]) -> None:
        """Keep a document; it takes the place of an older one of the same kind and name."""
        with self._writing() as connection:
            connection.execute(
                delete(attachments).where(
                    attachments.c.study_id == self._study_id,
                    attachments.c.kind == kind,
                    attachments.c.name == name,
                )
            )
            connection.execute(
                insert(attachments).values(
                    study_id=self._study_id, kind=kind, name=name, created=self.now(), document=dict(document)
                )
            )

    def attachments(self, kind: str | None = None) -> tuple[Attachment, ...]:
        """Documents in the order of their making, of one kind or of all."""
        query = select(attachments).where(attachments.c.study_id == self._study_id).order_by(attachments.c.id)
        if kind is not None:
            query = query.where(attachments.c.kind == kind)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Attachment(row.kind, row.name, row.created, row.document) for row in rows)

    # --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self.location), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if _identity(self.location) != self._file:
            raise StoreError(
                "The study was deleted or replaced while it was open.",
                value=self.location.text,
                hint="Put it back, or start another with betanas search.",
            )
        with explained(self.location), writing(self._engine) as connection:
            yield connection

    def _clock(self) -> Any:
        """Now: by the server's clock where machines share a study, since theirs may differ."""
        return func.now() if self.shared else self.now()

    def _update_study(self, **values: Any) -> None:
        with self._writing() as connection:
            connection.execute(update(studies).where(studies.c.id == self._study_id).values(**values))

    def _update_session(self, number: int, **values: Any) -> None:
        with self._writing() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.study_id == self._study_id, sessions.c.number == number)
                .values(**values)
            )

    def _plan_row(self) -> Row[Any, Any]:
        query = select(studies.c.plan, studies.c.trials_planned).where(studies.c.id == self._study_id)
        with self._reading() as connection:
            return connection.execute(query).one()

    def _add_recipe(self, connection: Connection, digest: str, recipe: Recipe) -> None:
        known = select(recipes.c.digest).where(recipes.c.study_id == self._study_id, recipes.c.digest == digest)
        if connection.execute(known).first() is None:
            connection.execute(
                insert(recipes).values(study_id=self._study_id, digest=digest, settings=recipe.to_dict())
            )

    def _begin_attempt(self, connection: Connection, trial_id: int, number: int, session: int) -> None:
        begun = {"trial_id": trial_id, "number": number, "session": session, "started": self.now()}
        connection.execute(insert(attempts).values(**begun, cause="", reason=""))

    def _end_attempt(self, connection: Connection, trial_id: int, number: int, result: TrialResult) -> None:
        connection.execute(
            update(attempts)
            .where(attempts.c.trial_id == trial_id, attempts.c.number == number)
            .values(ended=self.now(), cause=result.cause, reason=result.reason)
        )

    def _trial_row(self, connection: Connection, index: int) -> Row[Any]:
        row = connection.execute(
            select(trials, _SHARE).where(trials.c.study_id == self._study_id, trials.c.number == index)
        ).first()
        if row is None:
            raise StudyError("The study must have that trial.", value=index)
        return row

    def _curves(self, connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, tuple[CurvePoint, ...]]:
        """Learning curves by trial id: the points of each trial's last attempt, in order of steps."""
        wanted = {row.id: row.attempts for row in rows}
        of_study = [trials.c.id == curve_points.c.trial_id, trials.c.study_id == self._study_id]
        last = curve_points.c.attempt == trials.c.attempts
        query = select(curve_points).where(*of_study, last).order_by(curve_points.c.trial_id, curve_points.c.step)
        if len(wanted) == 1:
            query = query.where(curve_points.c.trial_id == next(iter(wanted)))
        found: defaultdict[int, list[CurvePoint]] = defaultdict(list)
        for row in connection.execute(query):
            if wanted.get(row.trial_id) == row.attempt:
                found[row.trial_id].append(CurvePoint(row.seconds, row.step, row.epoch, row.loss, row.accuracy))
        return {trial_id: tuple(points) for trial_id, points in found.items()}


def _remove_database(file: Path) -> None:
    for name in with_companions(file.name):
        file.with_name(name).unlink(missing_ok=True)


def _look_through(engine: Engine, location: StudyLocation, *, leave_out: bool) -> tuple[str, ...]:
    """What of a study's file is damaged, in words; from then on the engine's connections do not see it.

    Raises:
        StudyError: something is damaged, and is not to be left out.
    """
    if location.database is None:
        return ()  # a server sees to the types itself
    with engine.connect() as connection:
        damage = find_damage(connection)
    if damage.messages and not leave_out:
        raise StudyError(
            "The study's database is damaged; it can be looked at, and not gone on with.",
            value=f"{location.text}: {'; '.join(damage.messages[:5])}",
            hint="betanas status shows what can be read.",
        )
    if damage.messages:
        event.listen(engine, "connect", lambda connection, _record: damage.hide(connection))
        engine.dispose()
    return tuple(damage.messages)


def _identity(location: StudyLocation) -> tuple[int, int] | None:
    """Which file a study is in: another one in its place is another study. None where there is none."""
    try:
        found = location.database.stat() if location.database is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(insert(schema_info).values(version=SCHEMA_VERSION))


def _insert_study(connection: Connection, name: str, plan: StudyPlan | ComparisonPlan) -> int:
    made = connection.execute(
        insert(studies).values(
            name=name,
            plan=plan.to_document(),
            trials_planned=plan.search.trials if isinstance(plan, StudyPlan) else 0,
            request="run",
            created=datetime.now(UTC),
        )
    )
    return int(made.inserted_primary_key[0]) if made.inserted_primary_key else 0


def refuse_taken(location: StudyLocation) -> None:
    """Refuse a directory that holds a study already; a server is asked when the study is made.

    Raises:
        StudyError: it does.
    """
    if location.database is not None and location.database.exists():
        raise _taken(location)


def _taken(location: StudyLocation) -> StudyError:
    return StudyError(
        "A new study needs a place of its own.",
        value=location.text,
        hint="Go on with it by typing betanas resume, or choose another place with --study.",
    )


def _study_id(connection: Connection, name: str) -> int | None:
    return connection.execute(select(studies.c.id).where(studies.c.name == name)).scalar()


def _record(row: Row[Any], curve: tuple[CurvePoint, ...]) -> TrialRecord:
    values = {column.name: getattr(row, column.name) for column in _RECORD_COLUMNS}
    values["budget"] = Budget.parse(values["budget"]) if values["budget"] else None
    return TrialRecord(index=row.number, share=1.0 if row.share is None else row.share, curve=curve, **values)


# A blueprint is stored as its rows of numbers, a fifth of the size of its JSON with every field named.
_LAYER_FIELDS = tuple(spec.name for spec in fields(Layer))


def _compact(network: Mapping[str, Any]) -> dict[str, Any]:
    if "layers" not in network:
        return dict(network)
    return {**network, "layers": [list(layer.values()) for layer in network["layers"]]}


def _expand(network: dict[str, Any]) -> dict[str, Any]:
    if "layers" not in network:
        return network
    return {**network, "layers": [dict(zip(_LAYER_FIELDS[: len(row)], row, strict=True)) for row in network["layers"]]}


def _rest_of(job: Job) -> dict[str, Any]:
    """A job without what has columns and a table of its own, and is large."""
    return {name: value for name, value in job.to_dict().items() if name not in ("architecture", "recipe")}
