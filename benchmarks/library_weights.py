"""Train a network and keep its weights in the library, with the command that makes it again.

    python benchmarks/library_weights.py betanet2_digits_r16 --network betanet2 --data digits --resolution 16 \
        --budget 60epochs --found "the report's vector at 16 pixels"
    python benchmarks/library_weights.py betanet3_cifar100_r32 --network runs/cifar100 --data cifar100 \
        --resolution 32 --budget 200epochs --found "our search on CIFAR-100 at 32 pixels, 20 s a trial"

The network is a space (its published vector), a study (its best network) or a vector's JSON file. Training is a folder
under runs/, and goes on from its last checkpoint where the same command is given again. A network that is no space's
published one is trained from its blueprint's file; once it is in the library, its name takes the file's place.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from betanas.data import open_source
from betanas.library import pack_network
from betanas.search.study import Study
from betanas.spaces import available_spaces, get_space, published

RUNS = Path("runs")


def find_vector(network: str, space: str | None) -> tuple[str, Mapping[str, float]]:
    """Space and vector of what was named."""
    if network in available_spaces():
        return network, published(network)
    if Path(network).is_file():
        document = json.loads(Path(network).read_text(encoding="utf-8"))
        vector = document.get("vector", document)
        fitting = [name for name in available_spaces() if set(get_space(name).domain) == set(vector)]
        return space or fitting[0], vector
    with Study.open(network) as study:
        return study.plan.search.space, study.best().vector


def main() -> None:
    """Train, pack, and print what is in the library now."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the network in the library")
    parser.add_argument("--network", required=True, help="a space, a study or a vector's JSON file")
    parser.add_argument("--space", help="of a vector's file; else known by its parameters' names")
    parser.add_argument("--data", required=True)
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--budget", required=True, help="in epochs or steps, so that it can be repeated exactly")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--found", required=True, help="how the vector was found, in a few words")
    options = parser.parse_args()

    space, vector = find_vector(options.network, options.space)
    folder = RUNS / options.name
    trained, remade = options.network, options.network
    if options.network not in available_spaces():
        source = open_source(options.data)
        blueprint = get_space(space).blueprint(
            vector,
            resolution=options.resolution,
            num_classes=len(source.classes),
            in_channels=source.in_channels,
        )
        trained, remade = f"{folder}.json", options.name
        RUNS.mkdir(exist_ok=True)
        Path(trained).write_text(blueprint.to_json(), encoding="utf-8")
    settings = [
        *("--data", options.data, "--resolution", str(options.resolution)),
        *("--budget", options.budget, "--recipe", options.recipe, "--seed", str(options.seed)),
        *("--device", options.device, "--folder", str(folder)),
    ]
    print(shlex.join(["betanas", "train", trained, *settings]), flush=True)
    subprocess.run([sys.executable, "-m", "betanas", "train", trained, *settings], check=True)
    remake = shlex.join(["betanas", "train", remade, *settings])
    packed = pack_network(options.name, folder, space=space, vector=vector, found=options.found, remake=remake)
    assert packed.weights is not None
    print(f"{packed.name}: {packed.weights.path.stat().st_size:,} bytes, test top-1 {packed.weights.test_top1}")


if __name__ == "__main__":
    main()
