from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.networks.fields import as_pair
from models.networks.gemm import Gemm, Role
from models.networks.layers import Conv2d, Linear, MatMul

BATCHES = st.integers(1, 512)


@st.composite
def convolutions(draw: st.DrawFn) -> Conv2d:
    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilation = draw(st.integers(1, 3))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    return Conv2d(
        name="conv",
        in_channels=groups * draw(st.integers(1, 6)),
        out_channels=groups * draw(st.integers(1, 6)),
        kernel=kernel,
        stride=draw(st.integers(1, 3)),
        padding=padding,
        dilation=dilation,
        groups=groups,
        in_size=(draw(st.integers(13, 20)), draw(st.integers(13, 20))),
        bias=draw(st.booleans()),
    )


def by_role(gemms: tuple[Gemm, ...]) -> dict[Role, Gemm]:
    assert len({gemm.role for gemm in gemms}) == len(gemms)
    return {gemm.role: gemm for gemm in gemms}


def elements(gemm: Gemm) -> tuple[int, int, int]:
    return gemm.left_elements, gemm.right_elements, gemm.out_elements


@given(convolutions(), BATCHES)
def test_every_forward_product_of_a_convolution_is_due(layer: Conv2d, batch: int) -> None:
    forward = by_role(layer.gemms(batch))[Role.FWD]
    assert forward.share == 1
    assert forward.macs == forward.rows * forward.cols * forward.length * forward.count
    assert forward.macs == batch * layer.macs


@given(convolutions(), BATCHES)
def test_the_three_gemms_of_a_convolution_have_the_same_products(layer: Conv2d, batch: int) -> None:
    gemms = by_role(layer.gemms(batch))
    assert gemms[Role.GRAD].macs == gemms[Role.FWD].macs
    assert gemms[Role.GRAD].share == 1
    if prod(layer.out_size) <= prod(layer.in_size):
        assert gemms[Role.BWD].macs == gemms[Role.FWD].macs
    else:  # padding made the output the larger one
        assert gemms[Role.BWD].share == 1


@given(convolutions(), BATCHES)
def test_a_convolutions_matrices_have_the_shapes_of_its_tensors(layer: Conv2d, batch: int) -> None:
    gemms, groups = by_role(layer.gemms(batch)), layer.groups
    assert gemms[Role.FWD].rows * gemms[Role.FWD].cols * groups == (
        batch * layer.out_channels * prod(layer.out_size)
    )
    assert gemms[Role.BWD].rows * gemms[Role.BWD].cols * groups == (
        batch * layer.in_channels * prod(layer.in_size)
    )
    weights = layer.parameters - layer.bias * layer.out_channels
    assert gemms[Role.GRAD].rows * gemms[Role.GRAD].cols * groups == weights


@given(convolutions(), BATCHES)
def test_the_backward_share_of_a_convolution_is_that_of_its_outputs(
    layer: Conv2d, batch: int
) -> None:
    backward = by_role(layer.gemms(batch))[Role.BWD]
    assert backward.share == pytest.approx(
        min(1, prod(layer.out_size) / prod(layer.in_size)), rel=1e-12
    )


@given(convolutions(), BATCHES)
def test_a_convolutions_operands_are_its_tensors(layer: Conv2d, batch: int) -> None:
    gemms = by_role(layer.gemms(batch))
    x = batch * layer.in_channels * prod(layer.in_size)
    y = batch * layer.out_channels * prod(layer.out_size)
    w = layer.parameters - layer.bias * layer.out_channels
    for role, left, right, out in (
        (Role.FWD, x, w, y),
        (Role.BWD, y, w, x),
        (Role.GRAD, x, y, w),
    ):
        gemm = gemms[role]
        entries = gemm.rows * gemm.length * gemm.count
        assert gemm.left_elements == min(left, entries)
        assert gemm.right_elements == right <= gemm.cols * gemm.length * gemm.count
        assert gemm.out_elements == out


def test_inputs_that_a_stride_skips_are_not_read() -> None:
    layer = Conv2d(
        name="c", in_channels=3, out_channels=4, kernel=1, stride=2, in_size=(8, 8), groups=1
    )
    forward = by_role(layer.gemms(5))[Role.FWD]
    assert forward.left_elements == 5 * 3 * 4 * 4


def test_errors_of_outputs_that_see_only_padding_are_not_all_read() -> None:
    layer = Conv2d(name="c", in_channels=3, out_channels=4, kernel=1, padding=5, in_size=(8, 8))
    assert layer.out_size == (18, 18)
    assert by_role(layer.gemms(5))[Role.BWD].left_elements == 5 * 4 * 8 * 8


sizes = st.integers(1, 5000)


@given(sizes, sizes, sizes, BATCHES)
def test_a_linear_layer_sums_inputs_outputs_and_tokens(
    x: int, y: int, tokens: int, batch: int
) -> None:
    layer = Linear(name="fc", in_features=x, out_features=y, positions=tokens)
    gemms = by_role(layer.gemms(batch))
    assert {role: gemm.length for role, gemm in gemms.items()} == {
        Role.FWD: x,
        Role.BWD: y,
        Role.GRAD: batch * tokens,
    }
    assert {gemm.macs for gemm in gemms.values()} == {batch * layer.macs}
    assert {gemm.share for gemm in gemms.values()} == {1}
    inputs, outputs = batch * tokens * x, batch * tokens * y
    assert [elements(gemms[role]) for role in Role] == [
        (inputs, x * y, outputs),
        (outputs, x * y, inputs),
        (inputs, outputs, x * y),
    ]


@given(sizes, sizes, sizes, st.integers(1, 64), BATCHES)
def test_a_product_of_activations_sums_each_of_its_three_sizes_once(
    rows: int, cols: int, length: int, heads: int, batch: int
) -> None:
    layer = MatMul(name="qk", rows=rows, cols=cols, length=length, count=heads)
    gemms = by_role(layer.gemms(batch))
    assert [gemms[role].length for role in Role] == [length, cols, rows]
    assert {gemm.count for gemm in gemms.values()} == {batch * heads}
    assert {gemm.macs for gemm in gemms.values()} == {batch * layer.macs}
    assert {gemm.share for gemm in gemms.values()} == {1}
    assert layer.parameters == 0
    a, b, c = (batch * heads * size for size in (rows * length, length * cols, rows * cols))
    assert [elements(gemms[role]) for role in Role] == [(a, b, c), (c, b, a), (a, c, b)]


def test_a_first_layer_needs_no_backward_pass() -> None:
    conv = Conv2d(
        name="c", in_channels=3, out_channels=8, kernel=3, in_size=(8, 8), input_gradient=False
    )
    linear = Linear(name="l", in_features=3, out_features=8, input_gradient=False)
    for layer in (conv, linear):
        assert [gemm.role for gemm in layer.gemms(4)] == [Role.FWD, Role.GRAD]


def test_one_number_and_a_pair_of_it_are_the_same_kernel() -> None:
    def conv(kernel: int | tuple[int, int], padding: int | tuple[int, int]) -> Conv2d:
        return Conv2d(
            name="c",
            in_channels=1,
            out_channels=1,
            kernel=kernel,
            padding=padding,
            in_size=(9, 9),
        )

    assert conv(3, 1) == conv((3, 3), (1, 1))
    assert as_pair(conv(3, 1).kernel) == (3, 3)
    assert Conv2d.model_validate_json(conv((3, 5), 1).model_dump_json()) == conv((3, 5), 1)


CONV = {"name": "c", "in_channels": 6, "out_channels": 4, "kernel": 3, "in_size": (8, 8)}
LINEAR = {"name": "l", "in_features": 6, "out_features": 4}


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        (Conv2d, CONV | {"groups": 4}, "divisible by groups, got 6 and 4 in 4 groups"),
        (Conv2d, CONV | {"groups": 3}, "divisible by groups, got 6 and 4 in 3 groups"),
        (Conv2d, CONV | {"kernel": 9}, r"output must be at least 1 × 1, got \(0, 0\)"),
        (Conv2d, CONV | {"dilation": 4}, r"output must be at least 1 × 1, got \(0, 0\)"),
        (Conv2d, CONV | {"kernel": 0}, r"pair of them in 1\.\.2147483648, got 0"),
        (Conv2d, CONV | {"kernel": (3, 3, 3)}, r"pair of them in .*got \(3, 3, 3\)"),
        (Conv2d, CONV | {"kernel": True}, "pair of them in .*got True"),
        (Conv2d, CONV | {"kernel": 3.0}, r"pair of them in .*got 3\.0"),
        (Conv2d, CONV | {"padding": -1}, r"pair of them in 0\.\.2147483648, got -1"),
        (Conv2d, CONV | {"stride": (1, 2**31 + 1)}, "got .1, 2147483649."),
        (Conv2d, CONV | {"in_size": (8,)}, "Field required"),
        (Conv2d, CONV | {"kernle": 3}, "Extra inputs are not permitted"),
        (Linear, LINEAR | {"in_features": True}, "valid integer"),
        (Linear, LINEAR | {"in_features": float("nan")}, "valid integer"),
        (Linear, LINEAR | {"in_features": "6"}, "valid integer"),
        (Linear, LINEAR | {"in_features": 0}, "greater than or equal to 1"),
        (Linear, LINEAR | {"positions": 2**31 + 1}, "less than or equal to 2147483648"),
        (Linear, LINEAR | {"bias": 1}, "valid boolean"),
        (Linear, LINEAR | {"name": ""}, "at least 1 character"),
        (Linear, LINEAR | {"name": "  "}, "must not be blank"),
        (Linear, LINEAR | {"name": "a\x1b[2J"}, r"must be printable, got the character '\\x1b'"),
        (Linear, LINEAR | {"name": "a\u202eb"}, r"got the character '\\u202e'"),
        (Linear, LINEAR | {"name": "a" * 201}, "at most 200 characters"),
    ],
)
def test_a_wrong_field_is_refused(
    model: type[BaseModel], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        model.model_validate(fields)


@pytest.mark.parametrize("batch", [0, -1, True, 2**31 + 1])
@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(name="c", in_channels=1, out_channels=1, kernel=1, in_size=(1, 1)),
        Linear(name="l", in_features=1, out_features=1),
        MatMul(name="m", rows=1, cols=1, length=1),
    ],
)
def test_a_wrong_batch_is_refused(layer: Conv2d | Linear | MatMul, batch: int) -> None:
    with pytest.raises(ValueError, match=rf"^batch: must be .* in 1\.\.2147483648, got {batch}$"):
        layer.gemms(batch)


def test_a_layer_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Linear(name="l", in_features=1, out_features=1).bias = True
