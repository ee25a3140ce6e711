import subprocess
import sys
from collections.abc import Callable
from itertools import product as every
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from analysis.draws import Stream
from analysis.emulation import matmul_exact
from analysis.formats import Accumulator, BlockFormat, Rounding, float_format
from models.emulated import Arithmetic, LayerArithmetic, Role, branched, conv2d, linear

Array = npt.NDArray[Any]
Draw = Callable[..., Tensor]
BATCH = 2


class Case(NamedTuple):
    channels: tuple[int, int] = (2, 3)
    size: tuple[int, int] = (8, 7)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def fields(self) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def out(self) -> tuple[int, int]:
        weight = torch.empty(self.weight)
        shape = functional.conv2d(torch.empty(self.x), weight, **self.fields).shape
        return shape[2], shape[3]

    @property
    def x(self) -> tuple[int, ...]:
        return BATCH, self.channels[0], *self.size

    @property
    def weight(self) -> tuple[int, ...]:
        return self.channels[1], self.channels[0] // self.groups, *self.kernel

    @property
    def errors(self) -> tuple[int, ...]:
        return BATCH, self.channels[1], *self.out


CASES = [
    Case(),
    Case(padding=(1, 1)),
    Case(padding=(1, 1), stride=(2, 2)),  # the last column meets no window
    Case(padding=(2, 0), stride=(3, 1), dilation=(1, 2)),
    Case(kernel=(1, 4), padding=(1, 2), stride=(2, 2)),
    Case(kernel=(1, 1)),
    Case(kernel=(1, 1), stride=(3, 2)),  # most pixels meet no window
    Case(kernel=(2, 2), padding=(3, 3)),  # some windows meet no pixel
    Case(kernel=(2, 2), padding=(5, 4), stride=(4, 3)),
    Case(size=(2, 3), kernel=(5, 4), padding=(2, 1)),  # a kernel larger than the image
    Case(size=(1, 1), kernel=(3, 3), padding=(1, 1)),
    Case(size=(8, 7), kernel=(8, 7)),  # one window
    Case(size=(8, 7), kernel=(3, 2), dilation=(3, 5)),
    Case((4, 6), groups=2, padding=(1, 0), stride=(1, 2)),
    Case((6, 3), groups=3, dilation=(2, 1)),
    Case((4, 4), groups=4, padding=(1, 1)),  # depthwise
    Case((3, 6), groups=3, stride=(2, 1)),  # depthwise, two filters each
    Case((1, 1), (40, 1), (7, 1)),
]


def quantized(t: Tensor, one: Arithmetic) -> Array:
    return one.quantized(t.detach().numpy())


@pytest.mark.parametrize("case", CASES)
def test_a_wide_convolution_and_its_gradients_are_those_of_torch(
    integers: Draw, wide: LayerArithmetic, case: Case
) -> None:
    x, weight = integers(*case.x).requires_grad_(), integers(*case.weight).requires_grad_()
    bias, errors = integers(case.channels[1]).requires_grad_(), integers(*case.errors)
    out = conv2d(x, weight, bias, wide, **case.fields)
    expected = functional.conv2d(x, weight, bias, **case.fields)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    found, theirs = (torch.autograd.grad(y, (x, weight, bias), errors) for y in (out, expected))
    for one, other in zip(found, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def input_windows(case: Case, x: Array) -> Array:
    """im2col written out: one row per output, K in the order channel, kernel row, column."""
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in case.padding)))
    rows = []
    for b, i, j in every(range(len(x)), *map(range, case.out)):
        corner = [
            padded[
                b,
                c,
                i * case.stride[0] + u * case.dilation[0],
                j * case.stride[1] + v * case.dilation[1],
            ]
            for c, u, v in every(range(x.shape[1]), *map(range, case.kernel))
        ]
        rows.append(corner)
    return np.array(rows)


def error_windows(case: Case, errors: Array) -> Array:
    """One row per input pixel: the error that each tap of the turned kernel meets, or zero."""
    rows = []
    for b, i, j in every(range(len(errors)), *map(range, case.size)):
        row = []
        for c, u, v in every(range(errors.shape[1]), *map(range, case.kernel)):
            # turned: tap u of the dense pass is kernel row kh − 1 − u
            down = i + case.padding[0] - case.dilation[0] * (case.kernel[0] - 1 - u)
            right = j + case.padding[1] - case.dilation[1] * (case.kernel[1] - 1 - v)
            y, x = down // case.stride[0], right // case.stride[1]
            inside = 0 <= y < case.out[0] and 0 <= x < case.out[1]
            on_grid = down % case.stride[0] == 0 and right % case.stride[1] == 0
            row.append(errors[b, c, y, x] if inside and on_grid else 0.0)
        rows.append(row)
    return np.array(rows)


class Exact:
    """All three GEMMs of a convolution from matrices that are written out, by the reference."""

    def __init__(self, case: Case, arithmetic: LayerArithmetic, seed: int | None, row: int) -> None:
        self.case, self.arithmetic, self.seed, self.row = case, arithmetic, seed, row

    def sums(self, role: Role, left: Array, right: Array, stream: tuple[int, int]) -> Array:
        rng = None
        if self.seed is not None:
            place = {} if role is Role.GRAD else {"column": stream[1]}
            path = (2, self.row) if role is Role.GRAD else (list(Role).index(role),)
            rng = Stream(branched(self.seed, *path), row=stream[0], **place)
        return matmul_exact(left, right, self.arithmetic[role].accumulator, rng=rng)

    def images(
        self, role: Role, left: Array, right: Callable[[Case, Array], Array], x: Array,
        size: tuple[int, int],
    ) -> Array:  # fmt: skip
        """``left`` (groups, M, K) by the windows of each group of channels of ``x``."""
        parts = np.split(x, self.case.groups, axis=1)
        column = self.row * size[0] * size[1]
        rows = left.shape[1]
        sums = [
            self.sums(role, left[g], right(self.case, part).T, (g * rows, column))
            for g, part in enumerate(parts)
        ]
        return np.concatenate(sums).reshape(-1, BATCH, *size).transpose(1, 0, 2, 3)

    def fwd(self, x: Tensor, weight: Tensor) -> Array:
        one = self.arithmetic[Role.FWD]
        left = quantized(weight, one).reshape(self.case.groups, -1, weight[0].numel())
        return self.images(Role.FWD, left, input_windows, quantized(x, one), self.case.out)

    def bwd(self, errors: Tensor, weight: Tensor) -> Array:
        one, groups = self.arithmetic[Role.BWD], self.case.groups
        turned = quantized(weight, one)[:, :, ::-1, ::-1]
        parts = [part.transpose(1, 0, 2, 3) for part in np.split(turned, groups)]
        left = np.stack([part.reshape(part.shape[0], -1) for part in parts])
        return self.images(Role.BWD, left, error_windows, quantized(errors, one), self.case.size)

    def grad(self, x: Tensor, errors: Tensor) -> Array:
        one, groups = self.arithmetic[Role.GRAD], self.case.groups
        flat = quantized(errors, one).transpose(1, 0, 2, 3).reshape(errors.shape[1], -1)
        pairs = zip(np.split(flat, groups), np.split(quantized(x, one), groups, 1), strict=True)
        sums = [
            self.sums(Role.GRAD, left, input_windows(self.case, part), (g * len(left), 0))
            for g, (left, part) in enumerate(pairs)
        ]
        return np.concatenate(sums).reshape(self.case.weight)


def assert_exact(
    case: Case, arithmetic: LayerArithmetic, normal: Draw, seed: int | None = None, row: int = 0
) -> None:
    x, weight = normal(*case.x).requires_grad_(), normal(*case.weight).requires_grad_()
    errors = normal(*case.errors)
    rng = None if seed is None else Stream(seed, row=row)
    out = conv2d(x, weight, None, arithmetic, **case.fields, rng=rng)
    below, gradient = torch.autograd.grad(out, (x, weight), errors)
    exact = Exact(case, arithmetic, seed, row)
    np.testing.assert_array_equal(out.detach(), exact.fwd(x, weight))
    np.testing.assert_array_equal(below, exact.bwd(errors, weight))
    np.testing.assert_array_equal(gradient, exact.grad(x, errors))


SMALL = [
    Case(size=(4, 5), padding=(1, 1)),
    Case((2, 2), (5, 5), padding=(1, 1), stride=(2, 2)),
    Case((4, 2), (4, 4), (2, 3), (1, 2), (0, 1), (2, 1), groups=2),
]


@pytest.mark.parametrize("case", SMALL)
def test_a_narrow_convolution_is_the_exact_reference_bit_for_bit(
    normal: Draw, narrow: LayerArithmetic, case: Case
) -> None:
    assert_exact(case, narrow, normal)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding_is_the_exact_reference_bit_for_bit(
    normal: Draw, rounding: Rounding
) -> None:
    accumulator = Accumulator(float_format(8, 4), rounding, 6)
    one = Arithmetic(accumulator, float_format(5, 2))
    seed = 11 if rounding is Rounding.STOCHASTIC else None
    case = Case((2, 2), (4, 4), padding=(1, 1), stride=(2, 2))
    assert_exact(case, dict.fromkeys(Role, one), normal, seed)


@pytest.mark.parametrize("case", SMALL[1:])
def test_draws_depend_on_channel_sample_and_pixel(
    normal: Draw, stochastic: LayerArithmetic, case: Case
) -> None:
    assert_exact(case, stochastic, normal, seed=5, row=3)


def test_pieces_of_a_batch_have_the_bits_of_the_whole(
    normal: Draw, stochastic: LayerArithmetic
) -> None:
    x, weight, errors = normal(5, 2, 6, 7), normal(4, 2, 3, 3), normal(5, 4, 4, 5)

    def passes(first: int, last: int) -> tuple[Tensor, ...]:
        part = x[first:last].clone().requires_grad_()
        out = conv2d(part, weight, None, stochastic, rng=Stream(3, row=first))
        return out, *torch.autograd.grad(out, part, errors[first:last])

    whole, pieces = passes(0, 5), [passes(0, 2), passes(2, 3), passes(3, 5)]
    for ours, parts in zip(whole, zip(*pieces, strict=True), strict=True):
        assert torch.equal(ours, torch.cat(parts))


def blockwise(a_bits: int, b_bits: int) -> Arithmetic:
    """An accumulator that tells a from b: blocks of 4, with other grids for either."""
    block = BlockFormat("block", 30, a_bits, b_bits)
    return Arithmetic(Accumulator(block, chunk=4, outer=Accumulator(float_format(8, 5))))


@pytest.mark.parametrize("one", [blockwise(6, 1), Arithmetic(Accumulator(float_format(6, 3)))])
def test_a_convolution_of_single_pixels_is_a_linear_layer(integers: Draw, one: Arithmetic) -> None:
    """Even where a, the input, needs the finer grid: the weights are ±1 and 0."""
    x = integers(6, 8, dtype=torch.float32).requires_grad_()
    weight = integers(5, 8, dtype=torch.float32).sign()
    by_role = {Role.FWD: one, Role.BWD: one}
    flat = linear(x, weight, None, by_role)
    image = conv2d(x[:, :, None, None], weight[:, :, None, None], None, by_role)
    assert torch.equal(image[:, :, 0, 0], flat)
    errors = integers(6, 5, dtype=torch.float32)
    (found,) = torch.autograd.grad(image, x, errors[:, :, None, None])
    (expected,) = torch.autograd.grad(flat, x, errors)
    assert torch.equal(found, expected)


def test_an_image_may_come_without_its_batch(normal: Draw, narrow: LayerArithmetic) -> None:
    x, weight, bias = normal(2, 6, 6), normal(3, 2, 3, 3), normal(3)
    fields: dict[str, Any] = {"stride": 2, "padding": (1, 0), "dilation": 2}
    found = conv2d(x, weight, bias, narrow, **fields)
    assert torch.equal(found, conv2d(x[None], weight, bias, narrow, **fields)[0])


def test_a_batch_without_images_has_no_gradient(wide: LayerArithmetic) -> None:
    x, weight = torch.ones(0, 4, 5, 5, requires_grad=True), torch.ones(6, 2, 3, 3).requires_grad_()
    out = conv2d(x, weight, None, wide, groups=2, padding=1)
    below, gradient = torch.autograd.grad(out.sum(), (x, weight))
    assert out.shape == (0, 6, 5, 5)
    assert below.shape == x.shape
    assert torch.equal(gradient, torch.zeros(6, 2, 3, 3))


def test_any_layout_gives_the_same_bits(normal: Draw, narrow: LayerArithmetic) -> None:
    x, weight = normal(2, 4, 6, 6), normal(3, 4, 3, 3)
    last = x.contiguous(memory_format=torch.channels_last)
    turned = weight.transpose(2, 3).contiguous().transpose(2, 3)
    found = conv2d(last, turned, None, narrow)
    assert torch.equal(found, conv2d(x, weight, None, narrow))
    assert found.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_tensors_are_the_float32_that_they_are(
    normal: Draw, narrow: LayerArithmetic, dtype: torch.dtype
) -> None:
    x, weight = normal(1, 2, 5, 5).to(dtype).requires_grad_(), normal(3, 2, 3, 3).to(dtype)
    out = conv2d(x, weight, None, narrow)
    assert out.dtype is torch.float32
    assert torch.equal(out, conv2d(x.float(), weight.float(), None, narrow))
    (below,) = torch.autograd.grad(out.sum(), x)
    assert below.dtype is dtype


def test_what_needs_no_gradient_is_not_computed(normal: Draw, narrow: LayerArithmetic) -> None:
    for role in (Role.BWD, Role.GRAD):  # the other of the two is missing
        x, weight = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
        wanted = (x if role is Role.BWD else weight).requires_grad_()
        given = {Role.FWD: narrow[Role.FWD], role: narrow[role]}
        (gradient,) = torch.autograd.grad(conv2d(x, weight, None, given).sum(), wanted)
        assert gradient.shape == wanted.shape


ONES = torch.ones(1, 4, 5, 5)


@pytest.mark.parametrize(
    ("x", "weight", "fields", "message"),
    [
        (ONES, (4, 3, 3, 3), {}, r"shapes must be .* got \(1, 4, 5, 5\) and \(4, 3, 3, 3\) in 1"),
        (ONES, (4, 3, 3), {}, r"shapes must be .* and \(4, 3, 3\) in 1 groups"),
        (ONES, (3, 2, 3, 3), {"groups": 2}, r"shapes must be .* \(3, 2, 3, 3\) in 2 groups"),
        (ONES, (4, 2, 3, 3), {"groups": -2}, r"shapes must be .* in -2 groups"),
        (ONES[0, 0], (4, 2, 3, 3), {}, r"shapes must be .* got \(5, 5\)"),
        (ONES, (4, 4, 3, 3), {"stride": 0}, r"conv2d: stride must be a whole number .* got 0"),
        (ONES, (4, 4, 3, 3), {"padding": "same"}, r"conv2d: padding must be .* got 'same'"),
        (ONES, (4, 4, 3, 3), {"padding": (1, -1)}, r"padding must be .* in 0\.\..* got \(1, -1\)"),
        (ONES, (4, 4, 3, 3), {"dilation": 3}, r"must fit the 5 padded pixels, got one of 7"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    wide: LayerArithmetic, x: Tensor, weight: tuple[int, ...], fields: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        conv2d(x, torch.ones(weight), None, wide, **fields)


def test_other_types_are_refused(wide: LayerArithmetic) -> None:
    with pytest.raises(TypeError, match=r"conv2d: operands must be .* got torch\.int32"):
        conv2d(ONES.int(), torch.ones(4, 4, 3, 3), None, wide)


MEASURE = """
import resource
import torch
from analysis.formats import Accumulator, float_format
from models.emulated import Arithmetic, Role, conv2d

narrow = Arithmetic(Accumulator(float_format(6, 9), chunk=64), float_format(5, 2))
by_role = dict.fromkeys(Role, narrow)
def peak(batch, size):
    x = torch.randn(batch, 64, size, size, requires_grad=True)
    weight = torch.randn(4, 64, 7, 7, requires_grad=True)
    conv2d(x, weight, None, by_role, padding=3).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
small = peak(1, 9)
print(peak(8, 112) - small)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_memory_is_bounded_whatever_the_kernels_size() -> None:
    found = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True)
    image, padded, errors = (4 * 8 * c * s * s for c, s in ((64, 112), (64, 118), (4, 112)))
    im2col = 49 * image
    assert im2col > 2**30
    # GRAD holds most: the input, its gradient and that of the output; both operands rounded, the
    # padded image, the left factor twice, what is packed
    stated = (2 * image + errors) + (image + errors) + padded + 2 * errors + 2 * 2**20
    assert int(found.stdout) < stated + 30 * 2**20  # the allocator's own
    assert stated < im2col / 6
