import pytest
from pydantic import ValidationError

from models.networks.gemm import Role
from models.networks.layers import Linear
from models.networks.network import Network


def perceptron(*names: str, batch: int = 32) -> Network:
    layers = tuple(Linear(name=name, in_features=8, out_features=8, bias=True) for name in names)
    return Network(
        name="perceptron", source="a test", layers=layers, other_parameters=5, default_batch=batch
    )


def test_gemms_come_layer_by_layer_in_the_order_of_the_step() -> None:
    order = [(gemm.layer, gemm.role) for gemm in perceptron("a", "b").gemms()]
    assert order == [(name, role) for name in "ab" for role in (Role.FWD, Role.BWD, Role.GRAD)]


def test_the_default_batch_gives_way_to_another() -> None:
    network = perceptron("a", batch=32)
    lengths = [network.gemms(batch)[-1].length for batch in (None, 1, 7)]
    assert lengths == [32, 1, 7]


def test_totals_are_sums_over_layers() -> None:
    network = perceptron("a", "b", "c")
    assert network.parameters == 5 + 3 * (8 * 8 + 8)
    assert network.macs == 3 * 8 * 8


@pytest.mark.parametrize("batch", [0, -3, True, 2**31 + 1])
def test_a_wrong_batch_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match=f"^batch: must be a whole number .*got {batch}$"):
        perceptron("a").gemms(batch)


def test_a_network_has_layers() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        perceptron()


def test_names_of_layers_are_unique() -> None:
    with pytest.raises(ValidationError, match="layer names must be unique, got 'a' 2 times"):
        perceptron("b", "a", "a")


def test_other_parameters_are_not_negative() -> None:
    fields = perceptron("a").model_dump() | {"other_parameters": -1}
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Network.model_validate(fields)


def test_reading_stops_at_the_first_wrong_layer() -> None:
    fields = perceptron(*"abcdefgh").model_dump()
    for layer in fields["layers"]:
        layer["in_features"] = 0
    with pytest.raises(ValidationError) as caught:
        Network.model_validate(fields)
    layers = {error["loc"][1] for error in caught.value.errors() if len(error["loc"]) > 1}
    assert layers == {0}
