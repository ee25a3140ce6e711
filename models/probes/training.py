"""One training run in the plan's arithmetic.

Master weights, momentum and update are float32, as are bias, ReLU and loss; FWD, BWD and GRAD of
every layer run through the emulated accumulator. The errors are scaled by a power of two, which
(1, 5, 2) needs, and gradients scaled back, which is exact. Stochastic rounding draws by seed, step,
layer and role. A seed gives the same bits whatever the number of threads: torch is held to one.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.emulated import branched
from models.networks.loading import load_network
from models.plan import Plan
from models.probes.arithmetic import arithmetic_at, widths
from models.probes.data import CLASSES, SIDE, Images, load_digits
from models.probes.network import ProbeNetwork, check_plan
from models.probes.records import Check, TrainingRun, TrainingSettings, recipe_of


def train(plan: Plan, settings: TrainingSettings, offset: int | None, seed: int) -> TrainingRun:
    """Train ``plan``'s network on the digits, ``offset`` accumulator bits off the plan.

    ``offset`` None is the baseline: the same operands, summed one by one in float32.

    Raises:
        ValueError: the plan's network does not fit the images, or its GEMMs not the network.
    """
    with one_thread():
        network = _network(plan, seed)
        losses, curve, finite = _descend(network, plan, settings, offset, seed)
    accuracy = curve[-1].accuracy if finite else 0.0
    return TrainingRun(
        recipe=recipe_of(plan, settings),
        offset=offset,
        seed=seed,
        widths=widths(plan, offset),
        losses=losses,
        curve=curve,
        accuracy=accuracy,
        diverged=accuracy <= guessing(settings.test_images),
        test_images=settings.test_images,
    )


def guessing(test_images: int) -> float:
    """The accuracy that a guess stays below: its mean and three standard deviations.

    >>> guessing(400) == 0.1 + 3 * 0.015
    True
    """
    share = 1.0 / CLASSES
    return share + 3.0 * math.sqrt(share * (1.0 - share) / test_images)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _network(plan: Plan, seed: int) -> ProbeNetwork:
    shapes = load_network(plan.network)
    network = ProbeNetwork(shapes, (1, SIDE, SIDE))
    check_plan(plan, shapes)
    if network.output_size != (CLASSES,):
        raise ValueError(f"{plan.network}: output must be {(CLASSES,)}, got {network.output_size}")
    network.initialise(seed)
    return network


def _descend(
    network: ProbeNetwork, plan: Plan, settings: TrainingSettings, offset: int | None, seed: int
) -> tuple[tuple[float, ...], tuple[Check, ...], bool]:
    """(loss of each step, accuracies, whether all stayed finite); stops where it did not."""
    data = load_digits(settings.test_images, settings.split_seed)
    optimiser = torch.optim.SGD(network.parameters(), momentum=settings.momentum, foreach=False)
    losses: list[float] = []
    curve: list[Check] = []
    for step, chosen in enumerate(
        batches(len(data.train.digits), plan.batch, settings.steps, seed)
    ):
        network.use(arithmetic_at(plan, offset, step, settings.steps), branched(seed, step))
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1.0 - step / settings.steps)
        batch = Images(data.train.pixels[chosen], data.train.digits[chosen])
        loss = update(network, optimiser, batch, 2.0**settings.loss_scale_log2)
        if not (math.isfinite(loss) and is_finite(network)):
            return tuple(losses), tuple(curve), False
        losses.append(loss)
        if (step + 1) % settings.check_every == 0 or step + 1 == settings.steps:
            curve.append(Check(step=step + 1, accuracy=accuracy_of(network, data.test)))
    return tuple(losses), tuple(curve), True


def batches(images: int, batch: int, steps: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of each step's batch: whole batches of one shuffle after the other.

    Raises:
        ValueError: a batch does not fit the images.
    """
    if batch > images:
        raise ValueError(f"plan: batch must be at most the {images} training images, got {batch}")
    rng = np.random.default_rng(seed)
    per_shuffle = images // batch
    for step in range(steps):
        if step % per_shuffle == 0:
            order = rng.permutation(images)
        first = step % per_shuffle * batch
        yield order[first : first + batch]


def update(
    network: ProbeNetwork, optimiser: torch.optim.Optimizer, batch: Images, scale: float
) -> float:
    """One update; the loss before it."""
    scores = network(torch.from_numpy(batch.pixels))
    loss = functional.cross_entropy(scores, torch.from_numpy(batch.digits))
    optimiser.zero_grad()
    (loss * scale).backward()  # type: ignore[no-untyped-call]  # torch does not type it
    for parameter in network.parameters():
        assert parameter.grad is not None
        parameter.grad /= scale
    optimiser.step()
    return loss.item()


def is_finite(network: ProbeNetwork) -> bool:
    """Whether all parameters are."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters())


def accuracy_of(network: ProbeNetwork, images: Images) -> float:
    """Share of ``images`` that the network, in its present arithmetic, takes for what they are."""
    with torch.no_grad():
        scores = network(torch.from_numpy(images.pixels))
    return float(np.mean(scores.argmax(dim=1).numpy() == images.digits))
