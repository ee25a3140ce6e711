"""Speed of the theory and of plan evaluation.

python -m benchmarks.theory
"""

import numpy as np

from analysis.requirement import min_accumulator_bits
from analysis.retention import log_variance_lost
from benchmarks.timing import alternate, console, table
from dse.seeds import seeds
from dse.settings import Settings
from dse.space import Space
from models.networks.loading import load_network
from models.requirements import Asked, cached_least_bits, requirements


def theory() -> None:
    gemms = load_network("resnet50-imagenet").gemms()

    def whole_table() -> None:
        cached_least_bits.cache_clear()
        requirements(gemms, Asked(5, 64))

    short, long, table_s = alternate(
        lambda: [log_variance_lost(12, 5, 10**4) for _ in range(100)],
        lambda: [log_variance_lost(12, 5, 10**9) for _ in range(100)],
        whole_table,
    )
    lengths = np.linspace(1_000, 3_000_000, 10_000).astype(np.int64)
    batch_s = alternate(lambda: log_variance_lost(12, 5, lengths))[0]
    console.print("Variance retention")
    shown = table("evaluation", "time")
    shown.add_row("one (m_acc, m_p, n), n = 10⁴", f"{short * 1e4:.1f} µs")
    shown.add_row("one (m_acc, m_p, n), n = 10⁹", f"{long * 1e4:.1f} µs")
    shown.add_row("each of 10,000 lengths up to 3·10⁶ in one call", f"{batch_s * 100:.1f} µs")
    shown.add_row(f"requirement table of resnet50-imagenet, {len(gemms)} GEMMs", f"{table_s:.3f} s")
    shown.add_row("least bits of n = 3,211,264", str(min_accumulator_bits(3_211_264, 5)))
    console.print(shown)


def plans() -> None:
    console.print("Plan evaluations (area, energy, latency, both limits), one at a time")
    shown = table("network", "GEMMs", "distinct", "plans/s")
    for name in ("resnet18-imagenet", "resnet50-imagenet"):
        space = Space(Settings(network=name), load_network(name))
        design = next(seeds(space))
        taken = alternate(lambda space=space, design=design: space.evaluate(design))[0]  # type: ignore[misc]
        counts = (len(space.gemms), len(space.groups))
        shown.add_row(name, *map(str, counts), f"{1 / taken:,.0f}")
    console.print(shown)


if __name__ == "__main__":
    theory()
    plans()
