from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from betanas.data import open_source
from betanas.data.cache import cached, remembered
from betanas.data.decoded import Decoded

MakeFolder = Callable[..., Path]

KEY = {"content": "x", "side": 8}


def decoded(value: int = 7) -> Decoded:
    images = np.random.default_rng(value).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(50, dtype=np.int64) % 5
    return Decoded(images, labels, np.arange(50, dtype=np.int64) * 2, ("a.png (broken)",))


def not_again() -> NoReturn:
    raise AssertionError("decoded again")


def entry(home: Path) -> Path:
    (found,) = (path for path in (home / "cache" / "decoded").iterdir() if path.is_dir())
    return found


def same(left: Decoded, right: Decoded) -> bool:
    return (
        np.array_equal(left.images, right.images)
        and np.array_equal(left.labels, right.labels)
        and np.array_equal(left.positions, right.positions)
        and left.broken == right.broken
    )


def test_what_was_put_in_comes_out() -> None:
    first = cached(KEY, decoded)
    second = cached(dict(reversed(KEY.items())), not_again)
    assert same(first, decoded())
    assert same(second, decoded())
    assert isinstance(first.images, np.memmap)  # shared with whoever else maps it
    assert isinstance(second.images, np.memmap)


def test_other_keys_are_other_entries() -> None:
    cached(KEY, decoded)
    assert same(cached({**KEY, "side": 9}, lambda: decoded(8)), decoded(8))


def test_writing_into_the_arrays_changes_nothing_on_disk() -> None:
    cached(KEY, decoded).images[:] = 0
    assert same(cached(KEY, not_again), decoded())


def cut_short(entry: Path) -> None:
    with (entry / "images.npy").open("r+b") as file:
        file.truncate(5000)


def zero_a_block(entry: Path) -> None:
    with (entry / "images.npy").open("r+b") as file:
        file.seek(2048)
        file.write(b"\0" * 4096)


def remove_an_array(entry: Path) -> None:
    (entry / "labels.npy").unlink()


def empty_the_description(entry: Path) -> None:
    (entry / "description.json").write_text("")


def swap_arrays(entry: Path) -> None:
    shutil.copy(entry / "labels.npy", entry / "positions.npy")


def another_description(entry: Path) -> None:
    (entry / "description.json").write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [cut_short, zero_a_block, remove_an_array, empty_the_description, swap_arrays, another_description],
)
def test_a_damaged_entry_is_made_again(own_places: Path, damage: Callable[[Path], None]) -> None:
    cached(KEY, decoded)
    damage(entry(own_places))
    assert same(cached(KEY, decoded), decoded())
    assert same(cached(KEY, not_again), decoded())


def test_a_cache_that_cannot_be_made_costs_only_time(own_places: Path) -> None:
    (own_places / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        assert same(cached(KEY, decoded), decoded())
        assert remembered(KEY, lambda: 3) == 3


def test_a_cache_that_cannot_be_written_costs_only_time(own_places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert same(cached(KEY, decoded), decoded())
    assert list((own_places / "cache" / "decoded").glob("*/")) == []


def test_a_read_only_cache_is_still_read(own_places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(KEY, decoded)
    remembered(KEY, lambda: 3)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "rename", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert same(cached(KEY, not_again), decoded())
    assert remembered(KEY, not_again) == 3
    assert same(cached({"other": 1}, decoded), decoded())
    assert remembered({"other": 1}, lambda: 4) == 4


def test_an_entry_leaves_half_of_the_disk_to_others(own_places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(own_places)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=decoded().images.nbytes))
    assert same(cached(KEY, decoded), decoded())
    assert list((own_places / "cache" / "decoded").glob("*/")) == []


def test_what_killed_processes_left_is_swept_away_in_time(own_places: Path) -> None:
    folder = own_places / "cache" / "decoded"
    for name, age in (("old", 2 * 24 * 3600), ("new", 60)):
        (folder / f".writing-{name}").mkdir(parents=True)
        os.utime(folder / f".writing-{name}", (time.time() - age,) * 2)
    cached(KEY, decoded)
    assert not (folder / ".writing-old").exists()
    assert (folder / ".writing-new").exists()


def test_what_was_not_used_for_long_goes(own_places: Path) -> None:
    for number in range(3):
        cached({"content": number}, decoded)
    folder = own_places / "cache" / "decoded"
    entries = [path for path in folder.iterdir() if path.is_dir()]
    for each in entries:
        os.utime(each / "description.json", (time.time() - 40 * 24 * 3600,) * 2)
    mapped = cached({"content": 0}, not_again)  # used today
    cached({"content": 3}, decoded)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    assert same(cached({"content": 0}, not_again), mapped)
    assert same(cached({"content": 1}, decoded), decoded())


def test_of_too_much_the_least_recently_used_goes(own_places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betanas.data.cache._LARGEST_TOGETHER", int(2.5 * decoded().images.nbytes))
    folder = own_places / "cache" / "decoded"
    first = cached({"content": 0}, decoded)
    for each in folder.glob("*/description.json"):
        os.utime(each, (time.time() - 60,) * 2)
    cached({"content": 1}, decoded)
    cached({"content": 2}, decoded)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    assert same(first, decoded()), "what is mapped stays readable"
    assert same(cached({"content": 1}, not_again), decoded())


def test_a_failure_to_decode_is_not_kept(own_places: Path) -> None:
    with pytest.raises(AssertionError, match="decoded again"):
        cached(KEY, not_again)
    assert same(cached(KEY, decoded), decoded())


def decode_slowly(log: Path, barrier: Barrier, results: SimpleQueue[int]) -> None:
    def make() -> Decoded:
        with log.open("a") as file:
            file.write("decoded\n")
        time.sleep(0.3)
        return decoded()

    barrier.wait()
    results.put(int(cached(KEY, make).images.sum()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes would take seconds to start without fork")
def test_only_one_of_several_processes_decodes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.SimpleQueue()
    arguments = (tmp_path / "log", barrier, results)
    processes = [context.Process(target=decode_slowly, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    sums = [results.get() for _ in processes]
    for process in processes:
        process.join()
    assert sums == [int(decoded().images.sum())] * 4
    assert (tmp_path / "log").read_text() == "decoded\n"


def test_facts_are_remembered(own_places: Path) -> None:
    assert remembered(KEY, lambda: ["a", "b"]) == ["a", "b"]
    assert remembered(KEY, not_again) == ["a", "b"]
    (path,) = (own_places / "cache" / "facts").iterdir()
    path.write_text("{")
    assert remembered(KEY, lambda: ["c"]) == ["c"]
    assert json.loads(path.read_text())["value"] == ["c"]


def test_a_rewritten_image_is_decoded_again(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 2, "dog": 2})
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))
    before = open_source(folder).load("train", 12)
    (folder / "cat" / "0000.png").write_bytes((folder / "cat" / "0001.png").read_bytes())
    after = open_source(folder).load("train", 12)
    assert not after.images[0].equal(before.images[0])
    assert after.images[0].equal(before.images[1])


def test_of_many_files_any_rewritten_one_is_decoded_again(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 150, "dog": 2}, size=(6, 6))
    first, second = folder / "cat" / "0001.png", folder / "cat" / "0009.png"
    size = max(first.stat().st_size, second.stat().st_size)
    first.write_bytes(first.read_bytes().ljust(size, b"\0"))
    os.utime(first, (1, 1))
    source = open_source(folder)
    before, fingerprint = source.load("train", 6), source.fingerprint
    first.write_bytes(second.read_bytes().ljust(size, b"\0"))
    again = open_source(folder)
    assert again.fingerprint == fingerprint  # not one of the 64 whose contents it holds; the time tells
    assert again.load("train", 6).images[1].equal(before.images[9])


def test_the_cache_lies_in_the_users_cache_folder(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder({"data/cat": 2, "data/dog": 2}) / "data"
    monkeypatch.delenv("BETANAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    open_source(folder).load("train", 12)
    assert list((tmp_path / "xdg" / "betanas" / "decoded").glob("*/images.npy"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    open_source(folder).load("train", 12)
    assert list((tmp_path / "home" / ".cache" / "betanas" / "decoded").glob("*/images.npy"))
