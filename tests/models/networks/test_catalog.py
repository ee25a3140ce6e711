import pytest

from models.networks.catalog import CATALOG, network_names
from models.networks.fields import as_pair
from models.networks.gemm import Role
from models.networks.layers import Conv2d, Linear, MatMul
from models.networks.network import Network
from models.networks.transformers import LlamaShape, bert_base, llama

PARAMETERS = {
    "resnet18-imagenet": 11_689_512,  # torchvision ResNet18_Weights.IMAGENET1K_V1, num_params
    "resnet50-imagenet": 25_557_032,  # torchvision ResNet50_Weights.IMAGENET1K_V1, num_params
    "alexnet-imagenet": 61_100_840,  # torchvision AlexNet_Weights.IMAGENET1K_V1, num_params
    "vgg16-imagenet": 138_357_544,  # torchvision VGG16_Weights.IMAGENET1K_V1, num_params
    "mobilenetv2-imagenet": 3_504_872,  # torchvision MobileNet_V2_Weights.IMAGENET1K_V1, num_params
    "bert-base": 109_482_240,  # transformers BertModel of bert-base-uncased, with pooler
    "gpt2-small": 124_439_808,  # transformers GPT2LMHeadModel of gpt2, head tied
    "llama3-8b": 8_030_261_248,  # safetensors metadata of meta-llama/Meta-Llama-3-8B
}

#: (published value, digits of it after the decimal point, in GMAC)
GMACS = {
    "resnet18-imagenet": (1.814, 3),  # torchvision ResNet18_Weights, _ops
    "resnet50-imagenet": (4.089, 3),  # torchvision ResNet50_Weights, _ops
    "alexnet-imagenet": (0.714, 3),  # torchvision AlexNet_Weights, _ops
    "vgg16-imagenet": (15.470, 3),  # torchvision VGG16_Weights, _ops
    "mobilenetv2-imagenet": (0.301, 3),  # torchvision MobileNet_V2_Weights, _ops
    "resnet32-cifar10": (0.069, 3),  # He Y. et al. 2018, soft-filter-pruning cifar_resnet_flop.py
}


@pytest.mark.parametrize(("name", "published"), PARAMETERS.items())
def test_parameters_are_the_published_number(name: str, published: int) -> None:
    assert CATALOG[name]().parameters == published


@pytest.mark.parametrize(("name", "published"), GMACS.items())
def test_macs_are_the_published_number(name: str, published: tuple[float, int]) -> None:
    value, digits = published
    assert round(CATALOG[name]().macs / 1e9, digits) == value


def test_resnet32_has_the_parameters_of_the_paper() -> None:
    parameters = CATALOG["resnet32-cifar10"]().parameters
    assert round(parameters / 1e6, 2) == 0.46  # He et al. 2016 (arXiv:1512.03385), table 6


def test_gpt2_has_the_macs_of_its_matrix_products() -> None:
    published = 291_648_307_200  # FLOPs: Stanford CS336, assignment 1, transformer accounting
    assert CATALOG["gpt2-small"]().macs == published // 2


def test_a_bert_encoder_on_128_tokens_has_the_published_macs() -> None:
    published = 11.17  # GMAC: calflops README, chinese-roberta-wwm-ext (this encoder), 128 tokens
    assert round(bert_base(tokens=128).macs / 1e9, 2) == published


def test_the_llama_of_the_second_generation_has_the_published_counts() -> None:
    shape = LlamaShape(32, 4096, 11008, 32, 32, head_dim=128, vocabulary=32000)
    network = llama("llama2-7b", "a test", shape, tokens=128, batch=1)
    assert network.parameters == 6_738_415_616  # calflops README, llama2-7b, Params(Total)
    assert round(network.macs / 1e9, 2) == 850.00  # calflops README, llama2-7b, 128 tokens


def test_llama3_does_the_work_of_its_matrices_and_its_attention() -> None:
    tokens, network = 8192, CATALOG["llama3-8b"]()
    weights = sum(layer.parameters for layer in network.layers)
    attention = 2 * 32 * 32 * tokens**2 * 128  # QKᵀ and PV, layers, heads, head dimension
    assert network.macs == tokens * weights + attention


def test_llama3_sums_the_error_of_a_key_over_four_heads_and_all_tokens() -> None:
    gemms = {
        (gemm.layer.removeprefix("model.layers.0.self_attn."), gemm.role): gemm
        for gemm in CATALOG["llama3-8b"]().gemms()
    }
    lengths = {key: gemms[key].length for key in gemms if key[0] in ("qk", "pv", "k_proj")}
    assert lengths == {
        ("k_proj", Role.FWD): 4096,
        ("k_proj", Role.BWD): 8 * 128,
        ("k_proj", Role.GRAD): 8192,
        ("qk", Role.FWD): 128,
        ("qk", Role.BWD): 8192,
        ("qk", Role.GRAD): 4 * 8192,
        ("pv", Role.FWD): 8192,
        ("pv", Role.BWD): 128,
        ("pv", Role.GRAD): 4 * 8192,
    }
    assert gemms["qk", Role.GRAD].count == 8


def test_the_probe_network_has_these_lengths() -> None:
    gemms = CATALOG["digits-cnn"]().gemms()
    lengths = {role: [gemm.length for gemm in gemms if gemm.role is role] for role in Role}
    assert lengths == {
        Role.FWD: [9, 144, 288, 512],
        Role.BWD: [288, 288, 10],
        Role.GRAD: [64 * 64, 64 * 64, 64 * 16, 64],
    }


def test_resnet18_has_the_lengths_of_its_paper() -> None:
    gemms = {(gemm.layer, gemm.role): gemm for gemm in CATALOG["resnet18-imagenet"]().gemms()}
    assert gemms["layer4.1.conv2", Role.FWD].length == 512 * 9  # He et al. 2016, table 1, conv5_x
    assert gemms["layer4.1.conv2", Role.GRAD].length == 256 * 7 * 7
    assert gemms["layer2.0.conv1", Role.BWD].length == 128 * 9
    assert gemms["layer2.0.conv1", Role.BWD].share == 1 / 4  # stride 2 in both directions
    assert ("conv1", Role.BWD) not in gemms


def test_resnet50_has_its_stride_on_the_3x3() -> None:
    layers = {layer.name: layer for layer in CATALOG["resnet50-imagenet"]().layers}
    strides = []
    for part in ("conv1", "conv2", "conv3", "downsample.0"):
        layer = layers[f"layer2.0.{part}"]
        assert isinstance(layer, Conv2d)
        strides.append(as_pair(layer.stride))
    assert strides == [(1, 1), (2, 2), (1, 1), (2, 2)]  # torchvision resnet.py, Bottleneck


def test_a_depthwise_convolution_sums_one_channel() -> None:
    gemms = CATALOG["mobilenetv2-imagenet"]().gemms(batch=2)
    depthwise = [gemm for gemm in gemms if gemm.layer == "features.2.conv.1.0"]
    assert [(gemm.length, gemm.count) for gemm in depthwise] == [
        (9, 96),
        (9, 96),
        (2 * 56 * 56, 96),
    ]


@pytest.mark.parametrize("name", network_names())
def test_layers_fit_together(name: str) -> None:
    """Names and default batch are there, and the first convolution alone has no BWD."""
    network = CATALOG[name]()
    assert network.name == name
    assert network.gemms() == network.gemms(network.default_batch)
    without = [
        layer.name
        for layer in network.layers
        if not isinstance(layer, MatMul) and not layer.input_gradient
    ]
    first = network.layers[0]
    assert without == ([first.name] if isinstance(first, Conv2d) else [])


@pytest.mark.parametrize("name", network_names())
def test_channels_of_a_chain_fit(name: str) -> None:
    """Along a convolutional network each layer reads what an earlier one wrote."""
    written: set[int] = {3, 1}
    for layer in CATALOG[name]().layers:
        if isinstance(layer, Conv2d):
            assert layer.in_channels in written
            written.add(layer.out_channels)


@pytest.mark.parametrize("name", network_names())
def test_a_network_survives_its_own_json(name: str) -> None:
    network = CATALOG[name]()
    assert Network.model_validate_json(network.model_dump_json()) == network


def test_a_transformer_reads_activations_of_one_width() -> None:
    widths = {layer.in_features for layer in bert_base().layers if isinstance(layer, Linear)}
    assert widths == {768, 3072}  # Devlin et al. 2019, section 3: H = 768, feed-forward 4H
