"""Private steps of mia.py's dense network in PyTorch, by Opacus without and with its ghost clipping.

Run by private_training.py with the Python of an environment that has Opacus:

    python benchmarks/opacus_steps.py BATCH_SIZE STEPS CLIPPING_NORM NOISE_MULTIPLIER LEARNING_RATE

Prints JSON: the processor seconds of a step for each image, by the way of clipping, and the versions. One
batch of random images is used for all steps; none is drawn or gathered, which favours Opacus.
"""

import json
import sys
import time
from itertools import pairwise

import opacus
import torch
from opacus import GradSampleModule
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

WIDTHS = (3072, 64, 64, 64, 64, 10)
UNTIMED = 2  # steps before the clock starts


def dense_network() -> torch.nn.Sequential:
    """mia.py's dense4_10c."""
    parts: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        parts += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def seconds_per_image(
    ghost: bool, batch_size: int, steps: int, norm: float, noise: float, learning_rate: float
) -> float:
    """The processor seconds of a step, divided by batch_size. ghost: whether by ghost clipping. norm: to
    which gradients are clipped. noise: its standard deviation divided by norm."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch_size, WIDTHS[0]), dtype=torch.uint8)
    labels = torch.randint(0, WIDTHS[-1], (batch_size,))
    options = {"noise_multiplier": noise, "max_grad_norm": norm, "expected_batch_size": batch_size}
    network, loss = dense_network(), torch.nn.CrossEntropyLoss()
    adam = torch.optim.Adam(network.parameters(), lr=learning_rate)
    if ghost:
        network = GradSampleModuleFastGradientClipping(
            network, max_grad_norm=norm, use_ghost_clipping=True, loss_reduction="mean"
        )
        optimizer = DPOptimizerFastGradientClipping(adam, **options)
        loss = DPLossFastGradientClipping(network, optimizer, loss, loss_reduction="mean")
    else:
        network = GradSampleModule(network)
        optimizer = DPOptimizer(adam, **options)
    start = 0.0
    for step in range(UNTIMED + steps):
        if step == UNTIMED:
            start = time.process_time()
        optimizer.zero_grad()
        loss(network(images / 255), labels).backward()
        optimizer.step()
    return (time.process_time() - start) / steps / batch_size


if __name__ == "__main__":
    batch_size, steps = map(int, sys.argv[1:3])
    rest = [float(word) for word in sys.argv[3:6]]
    torch.set_num_threads(1)
    ways = {"Opacus": False, "Opacus, ghost clipping": True}
    seconds = {way: seconds_per_image(ghost, batch_size, steps, *rest) for way, ghost in ways.items()}
    print(json.dumps([seconds, {"torch": torch.__version__, "opacus": opacus.__version__}]))
