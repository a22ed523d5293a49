"""What a search space promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np

from betanas.blueprint import Blueprint
from betanas.errors import SpaceError, VectorError
from betanas.spaces.base import SearchSpace
from betanas.spaces.registry import SPACES
from betanas.testing.promises import Promises

# Image sides, classes and channels at the ends of what people have, and odd ones between.
_IMAGES = ((16, 1, 1), (33, 10, 3), (224, 1000, 3), (1024, 2, 8))

_IMPOSSIBLE: tuple[Mapping[str, object], ...] = (
    {"resolution": 7},
    {"resolution": 4097},
    {"resolution": 32.0},
    {"resolution": True},
    {"num_classes": 0},
    {"num_classes": "10"},
    {"in_channels": 0},
    {"in_channels": 1025},
)


def check_space(space: type[SearchSpace] | SearchSpace | str, *, vectors: int = 8, seed: int = 0) -> None:
    """Check that a search space keeps its promises.

    Args:
        space: a class or a name, whose presets are all checked; or a space with ranges of its own.
        vectors: random vectors that are tried beside the corners of the ranges.
        seed: of the random vectors.

    Raises:
        BrokenPromiseError: it does not; the message says which promise.
    """
    if isinstance(space, str):
        space = SPACES.get(space)
    if isinstance(space, SearchSpace):
        _check(space, vectors, seed)
        return
    for preset in space.presets:
        _check(space.from_preset(preset), vectors, seed)


def check_vector(
    space: SearchSpace, vector: Mapping[str, float], *, resolution: int, num_classes: int, in_channels: int
) -> None:
    """Check that a vector in a space's ranges describes a network for some images.

    Raises:
        BrokenPromiseError: it does not.
    """
    promises = _promises(space)
    about = f"{dict(vector)} at {resolution} pixels, {num_classes} classes, {in_channels} channels"
    with promises.holding("any vector in the ranges must give a network", about):
        found = space.blueprint(vector, resolution=resolution, num_classes=num_classes, in_channels=in_channels)
        again = space.blueprint(vector, resolution=resolution, num_classes=num_classes, in_channels=in_channels)
        read = Blueprint.from_json(found.to_json())
        memory = found.training_memory(batch_size=2)
    sizes = (found.resolution, found.num_classes, found.in_channels)
    asked = (resolution, num_classes, in_channels)
    promises.require(sizes == asked, "a network must be for the images that are asked for", f"{sizes} for {about}")
    first = found.layers[0].in_channels
    promises.require(first == in_channels, "the first layer must take the image's channels", f"{first} for {about}")
    counts = f"{found.num_params} parameters, {found.macs} multiply-accumulates, {memory} bytes for {about}"
    plausible = found.num_params > 0 and found.macs > 0 and memory > 4 * found.num_params
    promises.require(plausible, "a network must cost something, and its training more than its weights", counts)
    promises.require(again == found, "the same vector must give the same network", about)
    promises.require(read == found and read.key == found.key, "a network must survive being written as JSON", about)


def _promises(space: SearchSpace) -> Promises:
    return Promises(f"The search space {space.name} (preset {space.preset})")


def _check(space: SearchSpace, vectors: int, seed: int) -> None:
    promises = _promises(space)
    promises.require(space.name == space.name.lower(), "its name must be lower case", space.name)
    promises.require(type(space).__doc__, "its class must have a docstring")
    domain = space.domain
    promises.require(list(space.parameters) == list(domain), "ranges must name every parameter in the domain's order")
    for name, searched in space.parameters.items():
        inside = searched.low in domain[name] and searched.high in domain[name]
        promises.require(inside, "ranges must lie inside the domain", f"{name} from {searched} in {domain[name]}")
    promises.require(space.free, "there must be something to search", "every parameter is fixed")

    generator = np.random.default_rng(seed)
    _check_cube(space, generator.random((64, len(space.free))), promises)
    drawn = [*_corners(space), *map(space.to_vector, space.from_unit(generator.random((vectors, len(space.free)))))]
    for place, vector in enumerate(drawn):
        resolution, num_classes, in_channels = _IMAGES[place % len(_IMAGES)]
        check_vector(space, vector, resolution=resolution, num_classes=num_classes, in_channels=in_channels)
    for vector in _ends_of_domain(space):
        with promises.holding("every value in the domain must give a network: a search may go there", vector):
            space.blueprint(vector, resolution=33, num_classes=10)
    _check_batches(space, drawn, promises)
    _check_refusals(space, promises)


def _corners(space: SearchSpace) -> Iterator[dict[str, float]]:
    """All low, all high, and each parameter at one end while the others are at the other."""
    low, high = ({name: getattr(span, end) for name, span in space.parameters.items()} for end in ("low", "high"))
    yield low
    yield high
    yield from chain.from_iterable(({**low, name: high[name]}, {**high, name: low[name]}) for name in space.free)


def _ends_of_domain(space: SearchSpace) -> Iterator[dict[str, float]]:
    """Each searched parameter at an end of its domain, the others at the low end of their range."""
    low = {name: searched.low for name, searched in space.parameters.items()}
    for name in space.free:
        allowed = space.domain[name]
        yield from ({**low, name: end} for end in (allowed.low, allowed.high))


def _check_batches(space: SearchSpace, drawn: list[dict[str, float]], promises: Promises) -> None:
    rule = "a network must not depend on what is constructed beside it"
    for resolution in (16, 33, 224):
        alone = [space.blueprint(vector, resolution=resolution, num_classes=10) for vector in drawn]
        with promises.holding(rule, f"{resolution} pixels"):
            batch = list(space.blueprints(space.to_array(drawn), resolution=resolution, num_classes=10))
        promises.require(batch == alone, rule, f"{len(batch)} networks for {len(drawn)} vectors at {resolution} pixels")


def _check_cube(space: SearchSpace, points: np.ndarray, promises: Promises) -> None:
    rows = space.from_unit(points)
    for row in rows:
        outside = [name for name, value in space.to_vector(row).items() if value not in space.parameters[name]]
        promises.require(not outside, "the unit cube must be the ranges", f"{', '.join(outside)} outside at {row}")
    there_and_back = np.abs(space.to_unit(rows) - points).max()
    promises.require(there_and_back <= 1e-12, "cube and vectors must map onto each other", f"{there_and_back} off")
    as_vectors = space.to_array([space.to_vector(row) for row in rows])
    promises.require((as_vectors == rows).all(), "rows and vectors must map onto each other")
    name = space.free[0]
    fixed = space.replace(fixed={name: space.parameters[name].low})
    promises.require(
        name not in fixed.free and type(fixed) is type(space), "a fixed parameter must not be searched", name
    )
    value = fixed.from_unit(np.ones((1, len(fixed.free))))[0, list(space.parameters).index(name)]
    promises.require(value == space.parameters[name].low, "a fixed parameter must keep its value", f"{name} {value}")


def _check_refusals(space: SearchSpace, promises: Promises) -> None:
    vector = {name: searched.low for name, searched in space.parameters.items()}
    name = next(iter(vector))
    wrong: tuple[Mapping[str, object], ...] = (
        {},
        {other: value for other, value in vector.items() if other != name},
        vector | {"no such parameter": 1.0},
        vector | {name: "wide"},
        vector | {name: float("nan")},
        vector | {name: np.nextafter(space.domain[name].high, np.inf)},
    )
    for given in wrong:
        with promises.refusing(VectorError, "a vector that makes no sense must be refused", given):
            space.blueprint(given, resolution=32, num_classes=10)  # type: ignore[arg-type]
    for images in _IMPOSSIBLE:
        with promises.refusing(SpaceError, "images and classes that make no sense must be refused", images):
            space.blueprint(vector, **{"resolution": 32, "num_classes": 10, **images})  # type: ignore[arg-type]
    numpys = space.blueprint(vector, resolution=np.int64(32), num_classes=np.int32(10))  # type: ignore[arg-type]
    same = numpys == space.blueprint(vector, resolution=32, num_classes=10)
    promises.require(same, "numpy's integers must describe images as well as Python's")
