import json
import time
from pathlib import Path
from typing import Any

import pytest

from models.files import write_atomically
from models.networks.catalog import CATALOG, network_names
from models.networks.loading import load_network

TOML = """
name = "my-network"
source = "my notes"
default_batch = 16

[[layers]]
kind = "conv2d"
name = "stem"
in_channels = 3
out_channels = 8
kernel = [3, 5]
stride = 2
padding = [1, 2]
in_size = [32, 32]
bias = true
input_gradient = false

[[layers]]
kind = "matmul"
name = "scores"
rows = 4
cols = 4
length = 8

[[layers]]
kind = "linear"
name = "fc"
in_features = 2048
out_features = 10
"""


@pytest.mark.parametrize("name", network_names())
def test_a_name_of_the_catalogue_is_a_network(name: str) -> None:
    assert load_network(name) == CATALOG[name]()


def test_a_toml_file_is_a_network(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(TOML)
    network = load_network(str(path))
    assert [layer.name for layer in network.layers] == ["stem", "scores", "fc"]
    assert network.gemms()[1].length == 16 * 16 * 16


def test_a_saved_network_is_the_same_network(tmp_path: Path) -> None:
    network = CATALOG["mobilenetv2-imagenet"]()
    write_atomically(tmp_path / "m.json", network.model_dump_json(indent=2))
    assert load_network(str(tmp_path / "m.json")) == network


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "network 'resnet18': no such name, the nearest is 'resnet18-imagenet'"),
        ("ResNet50-ImageNet", "the nearest is 'resnet50-imagenet'"),
        ("llama-3-8b", "the nearest is 'llama3-8b'"),
        ("qqqqqq", "choose from digits-cnn, .*, llama3-8b"),
        ("", "network '': no such name"),
        ("a\nb", r"network 'a\\nb': no such name"),
        ("x" * 10**6, r"network 'xxx.*\.\.\..*x': no such name"),
        ("my.yaml", r"network 'my\.yaml': no such name"),
        ("none.json", "^none.json: No such file or directory$"),
    ],
)
def test_an_unknown_name_ends_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_network(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def changed(layer: dict[str, Any], **network: object) -> dict[str, Any]:
    """The fields of a sound network with one layer, some of them replaced."""
    sound = {"kind": "conv2d", "name": "c", "in_channels": 6, "out_channels": 4, "kernel": 3}
    return {
        "name": "n",
        "source": "s",
        "default_batch": 1,
        "layers": [sound | {"in_size": [8, 8]} | layer],
    } | network


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (changed({"kernle": 3}), r"layers\[0\]\.kernle: field is unknown, the nearest is 'kernel'"),
        (changed({"kind": "conv"}), r"layers\[0\]: 'kind' must be one of 'conv2d', .* got 'conv'"),
        (changed({"in_channels": -1}), r"layers\[0\]\.in_channels: .*equal to 1, got -1"),
        (changed({"in_channels": True}), r"layers\[0\]\.in_channels: .*valid integer, got True"),
        (changed({"in_channels": 1e3}), r"layers\[0\]\.in_channels: .*integer, got 1000\.0"),
        (changed({"in_channels": 10**40}), r"layers\[0\]\.in_channels: .* to 2147483648, got 1000"),
        (changed({"in_channels": float("nan")}), "numbers must be finite, got NaN"),
        (changed({"kernel": [3, "3"]}), r"layers\[0\]\.kernel: must be .*, got \[3, '3'\]"),
        (changed({"in_size": [8]}), r"layers\[0\]\.in_size: field '1' is required"),
        (changed({"groups": 4}), r"layers\[0\]: c: in_channels and .* got 6 and 4 in 4 groups"),
        (changed({"name": "\x07"}), r"layers\[0\]\.name: must be printable.*'\\x07'"),
        (changed({}, layers=[]), r"layers: Tuple should have at least 1 item.*, got \[\]"),
        (changed({}, default_batch=0), "default_batch: should be greater than .* 1, got 0"),
        (changed({}, batch=1), "batch: field is unknown"),
        (changed({}, source=None), "source: should be a valid string, got None"),
        ({"name": "n"}, "field 'source' is required"),
    ],
)
def test_a_wrong_network_ends_in_one_line(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=message) as caught:
        load_network(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_every_truncation_of_a_file_ends_in_one_line(tmp_path: Path) -> None:
    text = CATALOG["digits-cnn"]().model_dump_json()
    path = tmp_path / "cut.json"
    for end in range(0, len(text), 7):
        path.write_text(text[:end])
        with pytest.raises(ValueError, match="line 1 column"):
            load_network(str(path))


LAYER = '{"kind": "linear", "name": "%d", "in_features": 1, "out_features": 1}'
HEAD = '{"name": "n", "source": "s", "default_batch": 1, "layers": [%s]}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("many.json", HEAD % ",".join(LAYER % i for i in range(100_001)), "at most 100000 items"),
        ("empty.json", HEAD % ",".join(["{}"] * 500_000), r"layers\[0\]: field 'kind'"),
        ("lists.json", "[" + ",".join(["[]"] * 1_000_000) + "]", "valid dictionary"),
        ("dots.toml", "x" + ".x" * 400_000 + "=1", "at most 64 parts"),
        ("tables.toml", "[[layers]]\n" * 80_000, "field 'name' is required"),
        ("keys.toml", "\n".join(f"k{i} = 1" for i in range(80_000)), "k0: field is unknown"),
        ("deep.toml", "x = " + "[" * 500_000, "nested too deeply"),
        ("braces.toml", "x = " + "{a=" * 200_000, "nested too deeply"),
    ],
)
def test_a_hostile_file_ends_in_a_line_and_not_in_a_hang(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    begin = time.process_time()
    with pytest.raises(ValueError, match=message):
        load_network(str(path))
    assert time.process_time() - begin < 60  # a guard against a hang, not a measurement
