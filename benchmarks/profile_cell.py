"""Where does the time of a training go?

TensorFlow's own profiler looks on while mia.py's train_cell trains for an epoch on a part of the images, and
again while it judges them. What each kind of operation took is set beside the whole. The speed of
the convolutions' arithmetic is set beside that of a large matrix product, which is about the most that one
core of this processor gives.

    python benchmarks/profile_cell.py [--model NAME] [--share SHARE]
"""

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import mia
from benchmarks.timing import in_fresh_process, machine, markdown
from benchmarks.ways_to_train import SEED, images, model_named, plain_models
from leakage.command_line import OneLineParser, positive_number
from suite.sources.cifar10 import Cifar10

MODEL, SHARE = "cnn4_10c", 0.1  # of the images; the profiler keeps every single operation in memory
LEAST_SHARE = 0.01  # of the whole time, to have a line of its own
MATRIX = 2048  # rows and columns of the matrices whose product is timed


class Profile(NamedTuple):
    """One part of the work: seconds in all and by kind of operation, for so many images; the convolutions'
    floating-point operations for one image."""

    part: str
    images: int
    seconds: float
    kinds: Counter
    operations: float


class Profiler:
    """TensorFlow's profiler, from its making until `stop`, which gives seconds in all and by kind."""

    def __init__(self) -> None:
        import tensorflow as tf

        self.folder = tempfile.TemporaryDirectory()
        tf.profiler.experimental.start(self.folder.name)
        self.began = time.perf_counter()

    def stop(self) -> tuple[float, Counter]:
        import tensorflow as tf
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        seconds = time.perf_counter() - self.began
        tf.profiler.experimental.stop()
        kinds = Counter()
        with self.folder:
            for path in Path(self.folder.name).rglob("*.xplane.pb"):
                for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
                    for event in (event for line in plane.lines for event in line.events):
                        # An operation's event is called name:Kind; the others enclose operations.
                        kind = re.search(r"[^:]:(\w+)$", plane.event_metadata[event.metadata_id].name)
                        if kind:
                            kinds[re.sub("^_Mkl(Native)?", "", kind[1])] += event.duration_ps / 1e12
        return seconds, kinds


def convolution_operations(model: mia.Model) -> tuple[int, int]:
    """Floating-point operations of the convolutions for one image, in training and in judging."""
    layers = [layer for layer in mia.build(model, 0).layers if layer.name.startswith("conv2d")]
    # Each weight is multiplied and added once for each place of the output. Training does as much again for
    # the weights' gradient, and for the input's, which the first layer does not need.
    forward = [
        2 * layer.output.shape[1] * layer.output.shape[2] * layer.weights[0].numpy().size for layer in layers
    ]
    return 3 * sum(forward) - sum(forward[:1]), sum(forward)


def matrix_product_speed() -> float:
    """Floating-point operations per second of a large matrix product, the best of five."""
    import tensorflow as tf

    matrix = tf.random.normal((MATRIX, MATRIX))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        tf.matmul(matrix, matrix).numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds)


def profiled(name: str, share: float, data: Cifar10 | None) -> tuple[list[Profile], float]:
    """Of training and of judging, and the speed of a matrix product. To be called in a fresh process."""
    model = model_named(name)
    profilers, found = [], []

    def epoch_done() -> None:
        # After the first epoch everything is compiled; the second is looked at, then the judging after it.
        if profilers:
            found.append(profilers[-1].stop())
        profilers.append(Profiler())

    job = mia.training_job(mia.cell_of(model, SEED, 2, share), data, "", threads=1)
    result = job.work(epoch_done)
    found.append(profilers[-1].stop())
    members, nonmembers = len(result["member_ids"]), len(result["nonmember_ids"])
    operations = convolution_operations(model)
    profiles = [
        Profile("training", members, *found[0], operations[0]),
        Profile("judging", members + nonmembers, *found[1], operations[1]),
    ]
    return profiles, matrix_product_speed()


def table(profile: Profile) -> str:
    """The Markdown table: each kind's share, and microseconds per image."""
    counted = sum(profile.kinds.values())
    large = {
        f"`{kind}`": seconds
        for kind, seconds in profile.kinds.most_common()
        if seconds > LEAST_SHARE * profile.seconds
    }
    lines = large | {
        "other operations": counted - sum(large.values()),
        "between the operations": profile.seconds - counted,
        "all": profile.seconds,
    }
    return markdown(
        [profile.part, "share", "microseconds an image"],
        [
            [what, f"{seconds / profile.seconds:.1%}", f"{seconds / profile.images * 1e6:.1f}"]
            for what, seconds in lines.items()
        ],
    )


def main(model: str, share: float, data: Cifar10 | None = None) -> None:
    """Measures and prints the Markdown. data: None for CIFAR-10."""
    if data is None:
        images()  # fetched now, if need be, not while the clock runs
    profiles, peak = in_fresh_process(profiled, model, share, data)
    for profile in profiles:
        print(f"{table(profile)}\n")
        seconds = sum(took for kind, took in profile.kinds.items() if "Conv2D" in kind)
        if seconds:
            print(
                f"Convolutions: {profile.operations / 1e6:.1f} million operations an image, at "
                f"{profile.operations * profile.images / seconds / 1e9:.0f} billion a second. "
                f"A product of two matrices of {MATRIX} x {MATRIX}: {peak / 1e9:.0f} billion a second.\n"
            )
    print(f"`{model}`, {share:.0%} of the images, one thread. {machine('tensorflow', 'keras', 'numpy')}")


if __name__ == "__main__":
    parser = OneLineParser(description=__doc__ and __doc__.splitlines()[0])
    names = plain_models()
    parser.add_argument("--model", choices=names, default=MODEL, metavar="NAME", help=f"one of {names}")
    parser.add_argument(
        "--share", type=positive_number, default=SHARE, help="of the images (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.share > 1:
        parser.error("--share must be at most 1")
    main(**vars(arguments))
