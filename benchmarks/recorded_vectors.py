"""What a matrix unit returned, kept as test data, and held bit for bit against the catalogue.

Pure: whatever multiplies comes in as a function, a GPU's or the emulator's own. A file holds the
operands, what came back, and a header that says from which machine and by which instruction.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.catalog import FORMATS, named_accumulator, named_format, operands_of
from analysis.emulation import matmul
from analysis.formats import FloatFormat
from analysis.quantization import quantize

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Operands = list[Floats]
#: ``a`` (M, K) times ``b`` (K, N), values of the operands' format; the result as float32
Multiply = Callable[[Floats32, Floats32], Floats32]

SEED = 20181
#: rows and columns of what is multiplied, and of what is recorded
SIZE, RECORDED = 64, 8
LENGTHS = (32, 128, 1024)
#: the least exponent of an operand: products then spread over more bits than any unit keeps
LOW = -14
#: mismatches that a comparison names
NAMED = 5


class Pair(NamedTuple):
    """Operands: ``a`` (M, K) and ``b`` (K, N)."""

    a: Floats32
    b: Floats32


@dataclass(frozen=True, slots=True)
class Route:
    """A way to multiply on a machine, and the entry of the catalogue that should say its bits."""

    name: str
    entry: str
    output: str = "float32"  #: the format to which the sum is rounded at last, to nearest even
    #: in the compiled code; None: a library chose its kernel, and so the order of the sum
    instruction: str | None = None

    def __post_init__(self) -> None:
        named_accumulator(self.entry)
        if self.output not in FORMATS:
            raise ValueError(f"route {self.name}: output must be a format, got {self.output!r}")

    @property
    def operands(self) -> str:
        """The format of the operands.

        Raises:
            ValueError: the entry takes any.
        """
        found = operands_of(self.entry)
        if found is None:
            raise ValueError(f"route {self.name}: {self.entry} has no format of operands")
        return found

    def expected(self, pair: Pair) -> Floats32:
        """What the catalogue says."""
        sums = matmul(pair.a, pair.b, named_accumulator(self.entry))
        return quantize(sums, named_format(self.output)).astype(np.float32)


class Mismatch(NamedTuple):
    """An element that is not what the catalogue says."""

    vectors: str
    row: int
    column: int
    found: float
    expected: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Elements compared, those that differ, and the first few of them."""

    route: Route
    elements: int
    differing: int
    first: tuple[Mismatch, ...]


def _floating(name: str) -> FloatFormat:
    form = named_format(name)
    if not isinstance(form, FloatFormat):
        raise ValueError(f"vectors: operands must be of floating point, got {name}")
    return form


def _powers(rng: np.random.Generator, shape: tuple[int, int], low: int) -> Floats:
    """Powers of two between 2^low and 2, of both signs."""
    return rng.choice((-1.0, 1.0), shape) * np.exp2(rng.integers(low, 2, shape))


def _cancel(a: Floats, b: Floats, rng: np.random.Generator) -> None:
    """Make every eighth pair of neighbours along K two large products that cancel.

    What is small beside them shows how deep their step keeps bits, and how many products it takes.
    """
    at = 2 * np.flatnonzero(rng.random(a.shape[1] // 2) < 0.125)
    a[:, at], b[at] = np.copysign(1.5, a[:, at]), np.copysign(1.75, b[at])
    a[:, at + 1], b[at + 1] = -a[:, at], b[at]


def _kinds(form: FloatFormat, length: int, rng: np.random.Generator) -> dict[str, Operands]:
    """Before rounding, by the names that :func:`operand_pairs` explains."""
    shapes = ((SIZE, length), (length, SIZE))
    low = max(form.emin - form.mantissa_bits, LOW)
    normal = [rng.standard_normal(shape) for shape in shapes]
    wide = [rng.uniform(0.5, 1.0, shape) * _powers(rng, shape, low) for shape in shapes]
    a, b = (x.copy() for x in wide)
    _cancel(a, b, rng)
    kinds = {
        "gaussian": normal,
        "positive": [np.abs(x) / 4.0 for x in normal],
        "wide": wide,
        "cancelling": [a, b],
        "powers": [_powers(rng, shape, low) * rng.integers(0, 2, shape) for shape in shapes],
    }
    if form.emin > -30:  # a float32 holds their products
        kinds["low"] = [x * 2.0 ** (form.emin - 1) for x in normal]
    return kinds


def operand_pairs(operands: str, seed: int = SEED) -> dict[str, Pair]:
    """Random and adversarial operands, by a name that holds their kind and length.

    - gaussian; positive (half-normal: cutting is then a bias)
    - wide: significands at random over the exponents that the format and a float16 result stand
    - cancelling: the same, with large products that cancel
    - powers: of two, half of them zero: each product lies in one bit
    - low: the lowest binades of the format and its subnormals

    Raises:
        ValueError: the operands' format is not of floating point.
    """
    form, rng = _floating(operands), np.random.default_rng(seed)
    return {
        f"{kind} {length}": Pair(*(quantize(x, form).astype(np.float32) for x in pair))
        for length in LENGTHS
        for kind, pair in _kinds(form, length, rng).items()
    }


def _mismatches(vectors: str, found: Floats32, expected: Floats32) -> Iterator[Mismatch]:
    differs = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
    for row, column in np.argwhere(differs):
        one = (found[row, column], expected[row, column])
        yield Mismatch(vectors, int(row), int(column), *map(float, one))


def compare(route: Route, pairs: Mapping[str, Pair], results: Mapping[str, Floats32]) -> Comparison:
    """Results against the catalogue, bit for bit but for the sign of a zero.

    Raises:
        ValueError: a result has another shape than its operands' product.
    """
    found: list[Mismatch] = []
    for name, result in results.items():
        expected = route.expected(pairs[name])
        if result.shape != expected.shape:
            raise ValueError(f"{route.name}: {name} must give {expected.shape}, got {result.shape}")
        found += _mismatches(name, result, expected)
    elements = sum(result.size for result in results.values())
    return Comparison(route, elements, len(found), tuple(found[:NAMED]))


def measure(multiply: Multiply, pairs: Mapping[str, Pair]) -> dict[str, Floats32]:
    """What comes back for each pair."""
    return {name: multiply(*pair) for name, pair in pairs.items()}


@dataclass(frozen=True, slots=True)
class Recording:
    """Operands by format, results by route, and where they are from."""

    machine: Mapping[str, str]  #: device, driver, versions, date
    operands: Mapping[str, Mapping[str, Pair]]
    results: Mapping[Route, Mapping[str, Floats32]]

    def comparisons(self) -> Iterator[Comparison]:
        """Each route against the catalogue as it is now."""
        for route, results in self.results.items():
            yield compare(route, self.operands[route.operands], results)


def save(recording: Recording, path: Path) -> None:
    """Write the first rows and columns as a compressed .npz."""
    routes = list(recording.results)
    header = {"machine": dict(recording.machine), "routes": [asdict(route) for route in routes]}
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header))}
    for form, pairs in recording.operands.items():
        for name, pair in pairs.items():
            arrays[f"{form}/{name}/a"] = pair.a[:RECORDED]
            arrays[f"{form}/{name}/b"] = pair.b[:, :RECORDED]
    for number, route in enumerate(routes):
        for name, result in recording.results[route].items():
            arrays[f"{number}/{name}"] = result[:RECORDED, :RECORDED]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def load(path: Path) -> Recording:
    """The recording in a file that :func:`save` wrote.

    Raises:
        ValueError: the file has no header.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if "header" not in arrays:
        raise ValueError(f"{path.name}: must have a header, got {sorted(arrays)[:3]}")
    header = json.loads(str(arrays.pop("header")))
    routes = [Route(**each) for each in header["routes"]]
    operands: dict[str, dict[str, Pair]] = {}
    results: dict[Route, dict[str, Floats32]] = {route: {} for route in routes}
    for key, array in arrays.items():
        match key.split("/"):
            case [form, name, "a"]:
                b = arrays[f"{form}/{name}/b"]
                operands.setdefault(form, {})[name] = Pair(array, b)
            case [number, name]:
                results[routes[int(number)]][name] = array
    return Recording(header["machine"], operands, results)
