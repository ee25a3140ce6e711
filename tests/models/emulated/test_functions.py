from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from analysis.draws import Stream
from analysis.emulation import matmul_exact
from analysis.formats import Accumulator, float_format
from models.emulated import (
    Arithmetic,
    LayerArithmetic,
    Role,
    branched,
    conv2d,
    linear,
    matmul,
    product,
)

Array = npt.NDArray[Any]
Draw = Callable[..., Tensor]
Shape = tuple[int, ...]

BATCHES = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),  # one b for all
    ((2, 3, 4), (1, 4, 5)),
    ((3, 4), (2, 4, 5)),  # one a for all
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 6)),  # each broadcast along an axis of its own
    ((7, 1, 2, 3, 4), (1, 6, 1, 4, 5)),
    ((2, 3, 4), (1, 1, 4, 5)),
    ((1, 1), (1, 1)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((0, 3, 4), (4, 5)),
    ((0, 3, 4), (0, 4, 5)),
]


def gradients(out: Tensor, inputs: tuple[Tensor, ...], errors: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(out, inputs, errors.to(out.dtype))


def quantized(x: Tensor, one: Arithmetic) -> Array:
    return one.quantized(x.detach().numpy())


@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_a_wide_product_and_its_gradients_are_those_of_torch(
    integers: Draw, wide: LayerArithmetic, left: Shape, right: Shape
) -> None:
    a, b = integers(*left).requires_grad_(), integers(*right).requires_grad_()
    out, expected = matmul(a, b, wide), a @ b
    errors = integers(*expected.shape)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    for ours, theirs in zip(
        gradients(out, (a, b), errors), gradients(expected, (a, b), errors), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 7), (7,), (0, 7), (2, 0, 7)])
def test_a_wide_linear_layer_is_that_of_torch(
    integers: Draw, wide: LayerArithmetic, shape: Shape
) -> None:
    x, weight, bias = (t.requires_grad_() for t in (integers(*shape), integers(4, 7), integers(4)))
    out, expected = linear(x, weight, bias, wide), functional.linear(x, weight, bias)
    inputs, errors = (x, weight, bias), integers(*expected.shape)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    for ours, theirs in zip(
        gradients(out, inputs, errors), gradients(expected, inputs, errors), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_narrow_linear_layer_is_the_exact_reference_bit_for_bit(
    normal: Draw, narrow: LayerArithmetic
) -> None:
    x, weight = normal(9, 10).requires_grad_(), normal(6, 10).requires_grad_()
    errors = normal(9, 6)
    out = linear(x, weight, None, narrow)
    below, gradient = gradients(out, (x, weight), errors)
    for role, found, left, right in (
        (Role.FWD, out, x, weight.T),
        (Role.BWD, below, errors, weight),
        (Role.GRAD, gradient, errors.T, x),
    ):
        one = narrow[role]
        expected = matmul_exact(quantized(left, one), quantized(right, one), one.accumulator)
        np.testing.assert_array_equal(found.detach().numpy(), expected)


def test_the_gradient_of_a_shared_factor_is_one_sum_over_the_batch_in_order(
    normal: Draw, narrow: LayerArithmetic
) -> None:
    a, b = normal(5, 6, 4).requires_grad_(), normal(4, 3).requires_grad_()
    errors = normal(5, 6, 3)
    below, gradient = gradients(matmul(a, b, narrow), (a, b), errors)
    one = narrow[Role.GRAD]
    left, right = quantized(a, one).reshape(30, 4), quantized(errors, one).reshape(30, 3)
    np.testing.assert_array_equal(gradient, matmul_exact(left.T, right, one.accumulator))

    # the other way round: b's columns of every matrix, for one a
    shared, many = normal(6, 4).requires_grad_(), normal(5, 4, 3)
    (below,) = gradients(matmul(shared, many, narrow), (shared,), errors)
    one = narrow[Role.BWD]
    left = np.concatenate(list(quantized(errors, one)), axis=1)
    right = np.concatenate(list(quantized(many, one)), axis=1).T
    np.testing.assert_array_equal(below, matmul_exact(left, right, one.accumulator))


def test_each_role_draws_from_a_seed_of_its_own(normal: Draw, stochastic: LayerArithmetic) -> None:
    a, b = normal(5, 40).requires_grad_(), normal(40, 6).requires_grad_()
    errors = normal(5, 6)
    out = matmul(a, b, stochastic, rng=Stream(7, row=3))
    below, gradient = gradients(out, (a, b), errors)
    for role, found, left, right, stream in (
        (Role.FWD, out, a, b, Stream(branched(7, 0), row=3)),
        (Role.BWD, below, errors, b.T, Stream(branched(7, 1), row=3)),
        (Role.GRAD, gradient, a.T, errors, Stream(branched(7, 2, 3))),
    ):
        one = stochastic[role]
        operands = quantized(left, one), quantized(right, one)
        expected = matmul_exact(*operands, one.accumulator, rng=stream)
        np.testing.assert_array_equal(found.detach().numpy(), expected)
        assert not np.array_equal(matmul_exact(*operands, one.accumulator, rng=8), expected)


def test_pieces_of_a_batch_have_the_bits_of_the_whole(
    normal: Draw, stochastic: LayerArithmetic
) -> None:
    x, weight, errors = normal(12, 50), normal(7, 50), normal(12, 7)

    def passes(first: int, last: int) -> tuple[Tensor, ...]:
        part = x[first:last].clone().requires_grad_()
        out = linear(part, weight, None, stochastic, rng=Stream(3, row=first))
        return out, *gradients(out, (part,), errors[first:last])

    whole, pieces = passes(0, 12), [passes(0, 5), passes(5, 6), passes(6, 12)]
    for ours, parts in zip(whole, zip(*pieces, strict=True), strict=True):
        assert torch.equal(ours, torch.cat(parts))


def test_weight_gradients_of_pieces_draw_anew(normal: Draw, stochastic: LayerArithmetic) -> None:
    x, errors, weight = normal(16, 20), normal(16, 30), normal(30, 20).requires_grad_()
    first, again, second = (
        gradients(linear(x, weight, None, stochastic, rng=Stream(3, row=row)), (weight,), errors)
        for row in (0, 0, 16)
    )
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_tensors_are_the_float32_that_they_are(
    normal: Draw, narrow: LayerArithmetic, dtype: torch.dtype
) -> None:
    low = tuple(t.to(dtype).requires_grad_() for t in (normal(5, 8), normal(3, 8), normal(3)))
    same = tuple(t.detach().float().requires_grad_() for t in low)
    results = []
    for x, weight, bias in (low, same):
        out = linear(x, weight, bias, narrow)
        results.append((out, *gradients(out, (x, weight, bias), torch.ones(5, 3))))
    (out, *found), (expected, *others) = results
    assert out.dtype is torch.float32
    assert torch.equal(out, expected)
    for ours, theirs in zip(found, others, strict=True):
        assert ours.dtype is dtype
        assert torch.equal(ours, theirs.to(dtype))


def test_a_float64_operand_makes_a_float64_result(wide: LayerArithmetic) -> None:
    a, b = torch.full((1, 2), 1.0), torch.full((2, 1), 1.0 + 2.0**-40, dtype=torch.float64)
    assert matmul(a, b, wide).dtype is torch.float64
    assert matmul(a, b, wide).item() == 2.0 + 2.0**-39


def test_a_sum_wider_than_its_operands_is_rounded_as_it_leaves() -> None:
    terms, ones = torch.tensor([[1.0, 2.0**-24, 2.0**-40]]), torch.ones(3, 1)
    for operands in (None, float_format(10, 10)):  # the latter does not fit float32
        wide = {Role.FWD: Arithmetic(Accumulator(float_format(10, 48)), operands)}
        image = conv2d(terms[:, :, None, None], ones.T[:, :, None, None], None, wide)
        for found in (matmul(terms, ones, wide), image):
            assert found.dtype is torch.float32
            assert found.item() == 1.0 + 2.0**-23  # above the tie at 1 + 2^-24, by 2^-40


def test_views_give_the_bits_of_their_copies(normal: Draw, narrow: LayerArithmetic) -> None:
    a, b = normal(6, 8, 5).permute(2, 0, 1)[:, ::2], normal(7, 16)[:, ::2].T
    rows = normal(1, 8).expand(4, 8)
    for left in (a, rows):
        assert not left.is_contiguous()
        found = matmul(left, b, narrow)
        assert torch.equal(found, matmul(left.contiguous(), b.contiguous(), narrow))


def test_what_needs_no_gradient_is_not_computed(
    normal: Draw, narrow: LayerArithmetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Accumulator] = []

    def recorded(a: Any, b: Any, accumulator: Accumulator, **_: Any) -> Any:
        seen.append(accumulator)
        return a @ b

    monkeypatch.setattr(product, "matmul", recorded)
    for left, right, roles in (
        (True, True, [Role.FWD, Role.BWD, Role.GRAD]),
        (True, False, [Role.FWD, Role.BWD]),
        (False, True, [Role.FWD, Role.GRAD]),
    ):
        seen.clear()
        a, b = normal(2, 3).requires_grad_(left), normal(3, 4).requires_grad_(right)
        out = matmul(a, b, {role: narrow[role] for role in roles})
        gradients(out, tuple(t for t in (a, b) if t.requires_grad), torch.ones(2, 4))
        assert seen == [narrow[role].accumulator for role in roles]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_threads_are_passed_on(
    normal: Draw, narrow: LayerArithmetic, monkeypatch: pytest.MonkeyPatch, threads: int | None
) -> None:
    seen: list[int | None] = []

    def recorded(a: Any, b: Any, accumulator: Any, *, rng: Any, threads: int | None) -> Any:
        seen.append(threads)
        return a @ b

    monkeypatch.setattr(product, "matmul", recorded)
    x, weight = normal(2, 3).requires_grad_(), normal(4, 3).requires_grad_()
    out = linear(x, weight, None, narrow, threads=threads)
    gradients(out, (x, weight), torch.ones(2, 4))
    assert seen == [threads] * 3


def test_the_bias_gradient_is_a_plain_sum(narrow: LayerArithmetic) -> None:
    bias = torch.zeros(1, requires_grad=True)
    out = linear(torch.ones(99, 1), torch.ones(1, 1), bias, narrow)
    (gradient,) = gradients(out, (bias,), torch.ones(99, 1))
    assert gradient.item() == 99.0  # the narrow accumulators would stop at 8 or 16


def test_gradients_cannot_be_differentiated_again(normal: Draw, wide: LayerArithmetic) -> None:
    x = normal(2, 3).requires_grad_()
    (below,) = torch.autograd.grad(
        matmul(x, normal(3, 4), wide).square().sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        below.sum().backward()  # type: ignore[no-untyped-call]  # torch does not type it


def test_a_role_that_is_missing_is_named(normal: Draw, narrow: LayerArithmetic) -> None:
    x = normal(2, 3).requires_grad_()
    out = linear(x, normal(4, 3), None, {Role.FWD: narrow[Role.FWD]})
    with pytest.raises(ValueError, match="linear: arithmetic must have the role BWD, got FWD"):
        gradients(out, (x,), torch.ones(2, 4))
    with pytest.raises(ValueError, match="matmul: arithmetic must have the role FWD, got none"):
        matmul(x, x.T, {})


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (4, 5)), ((2, 2, 3), (2, 4, 3))]
)
def test_shapes_that_do_not_match_are_refused(wide: LayerArithmetic, a: Shape, b: Shape) -> None:
    with pytest.raises(ValueError, match=r"matmul: shapes must be .* got \("):
        matmul(torch.ones(a), torch.ones(b), wide)
    with pytest.raises(ValueError, match=r"linear: shapes must be \(..., in\) and \(out, in\)"):
        linear(torch.ones(a), torch.ones(b).mT if len(b) > 2 else torch.ones(7, 9), None, wide)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_types_are_refused(wide: LayerArithmetic, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"must be float16, .* or float64, got {dtype}"):
        matmul(torch.ones(2, 2), torch.ones(2, 2, dtype=dtype), wide)


def test_tensors_elsewhere_are_refused(wide: LayerArithmetic) -> None:
    with pytest.raises(ValueError, match="tensors must be on the CPU or CUDA, got meta"):
        matmul(torch.ones(2, 2, device="meta"), torch.ones(2, 2), wide)


def test_draws_need_a_seed_or_a_stream_at_a_row(normal: Draw, stochastic: LayerArithmetic) -> None:
    x = normal(2, 2)
    with pytest.raises(ValueError, match=r"\(FWD, BWD, GRAD\) needs rng, got None"):
        matmul(x, x, stochastic)
    with pytest.raises(ValueError, match=r"rng must have column and step 0, got Stream\(seed=1"):
        matmul(x, x, stochastic, rng=Stream(1, column=2))
    generators = [np.random.default_rng(1) for _ in range(2)]
    found = [matmul(x, x, stochastic, rng=rng) for rng in generators]
    assert torch.equal(*found)
