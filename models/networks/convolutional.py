"""Convolutional networks of the catalogue; layers are named as in the implementation cited."""

from collections.abc import Iterator

from models.networks.layers import Conv2d, Linear
from models.networks.network import Network

#: 8 GPUs with --batch-size 32 each: torchvision's references/classification/README.md, for its
#: AlexNet, VGG, ResNet and MobileNetV2 weights
TORCHVISION_BATCH = 8 * 32


def _conv(
    name: str,
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: int,
    stride: int = 1,
    groups: int = 1,
) -> Conv2d:
    """A convolution without bias, padded so that stride 1 keeps the size."""
    return Conv2d(
        name=name,
        in_channels=channels[0],
        out_channels=channels[1],
        kernel=kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        in_size=size,
    )


def _first(layer: Conv2d) -> Conv2d:
    """The same layer as the first of a network: pixels need no error."""
    return layer.model_copy(update={"input_gradient": False})


def _biased(layer: Conv2d) -> Conv2d:
    return layer.model_copy(update={"bias": True})


def _norm_parameters(layers: tuple[Conv2d, ...]) -> int:
    """Scale and shift of one batch norm after every convolution."""
    return sum(2 * layer.out_channels for layer in layers)


def _basic_block(
    name: str, channels: tuple[int, int], size: tuple[int, int], stride: int
) -> Iterator[Conv2d]:
    """Two 3 × 3 convolutions (He et al., 2016, figure 5 left), without the shortcut."""
    first = _conv(f"{name}.conv1", channels, size, 3, stride)
    yield first
    yield _conv(f"{name}.conv2", (channels[1], channels[1]), first.out_size, 3)


def _bottleneck(
    name: str, channels: tuple[int, int], size: tuple[int, int], stride: int
) -> Iterator[Conv2d]:
    """1 × 1, 3 × 3, 1 × 1 (figure 5 right), the stride on the 3 × 3: "v1.5" of torchvision."""
    width = channels[1] // 4
    middle = _conv(f"{name}.conv2", (width, width), size, 3, stride)
    yield _conv(f"{name}.conv1", (channels[0], width), size, 1)
    yield middle
    yield _conv(f"{name}.conv3", (width, channels[1]), middle.out_size, 1)


def _imagenet_resnet(depths: tuple[int, ...], expansion: int) -> tuple[Conv2d, ...]:
    """Stem and four stages (He et al., 2016, table 1), projection shortcuts between stages."""
    block = _basic_block if expansion == 1 else _bottleneck
    layers = [_first(_conv("conv1", (3, 64), (224, 224), 7, 2))]
    channels, size = 64, (56, 56)  # after the 3 × 3 max pool
    for stage, depth in enumerate(depths):
        for index in range(depth):
            name = f"layer{stage + 1}.{index}"
            step, out = (2 if stage and not index else 1), 64 * 2**stage * expansion
            layers += block(name, (channels, out), size, step)
            if step != 1 or channels != out:
                layers.append(_conv(f"{name}.downsample.0", (channels, out), size, 1, step))
            channels, size = out, layers[-1].out_size
    return tuple(layers)


def resnet18_imagenet() -> Network:
    """ResNet-18 (He et al., 2016, table 1) as in torchvision."""
    layers = _imagenet_resnet((2, 2, 2, 2), expansion=1)
    return Network(
        name="resnet18-imagenet",
        source="He et al. 2016 (arXiv:1512.03385), table 1; torchvision resnet18, batch 8 × 32",
        layers=(*layers, Linear(name="fc", in_features=512, out_features=1000, bias=True)),
        other_parameters=_norm_parameters(layers),
        default_batch=TORCHVISION_BATCH,
    )


def resnet50_imagenet() -> Network:
    """ResNet-50 v1.5: torchvision has the stride on the 3 × 3, the paper on the first 1 × 1."""
    layers = _imagenet_resnet((3, 4, 6, 3), expansion=4)
    return Network(
        name="resnet50-imagenet",
        source="He et al. 2016 (arXiv:1512.03385), table 1; torchvision resnet50"
        " (v1.5: stride on the 3x3), batch 8 × 32",
        layers=(*layers, Linear(name="fc", in_features=2048, out_features=1000, bias=True)),
        other_parameters=_norm_parameters(layers),
        default_batch=TORCHVISION_BATCH,
    )


def resnet32_cifar10() -> Network:
    """ResNet-32 for CIFAR-10 (He et al., 2016, section 4.2): n = 5, option A shortcuts.

    Option A pads the identity with zeros, so that shortcuts have no convolution.
    """
    layers = [_first(_conv("conv1", (3, 16), (32, 32), 3))]
    for stage in range(3):
        for index in range(5):
            channels, size = layers[-1].out_channels, layers[-1].out_size
            stride = 2 if stage and not index else 1
            layers += _basic_block(
                f"layer{stage + 1}.{index}", (channels, 16 * 2**stage), size, stride
            )
    convolutions = tuple(layers)
    return Network(
        name="resnet32-cifar10",
        source="He et al. 2016 (arXiv:1512.03385), section 4.2: n = 5, option A, batch 128",
        layers=(*convolutions, Linear(name="linear", in_features=64, out_features=10, bias=True)),
        other_parameters=_norm_parameters(convolutions),
        default_batch=128,
    )


def alexnet_imagenet() -> Network:
    """AlexNet as in torchvision: one tower, no groups (Krizhevsky, 2014, "One weird trick").

    The original of 2012 has 96-256-384-384-256 channels in two groups; this one has
    64-192-384-256-256 and is the variant that is trained today.
    """
    stem = Conv2d(
        name="features.0",
        in_channels=3,
        out_channels=64,
        kernel=11,
        stride=4,
        padding=2,
        in_size=(224, 224),
        bias=True,
        input_gradient=False,
    )
    return Network(
        name="alexnet-imagenet",
        source="Krizhevsky 2014 (arXiv:1404.5997), one tower; torchvision alexnet, batch 8 × 32",
        layers=(
            stem,
            _biased(_conv("features.3", (64, 192), (27, 27), 5)),
            _biased(_conv("features.6", (192, 384), (13, 13), 3)),
            _biased(_conv("features.8", (384, 256), (13, 13), 3)),
            _biased(_conv("features.10", (256, 256), (13, 13), 3)),
            Linear(name="classifier.1", in_features=256 * 6 * 6, out_features=4096, bias=True),
            Linear(name="classifier.4", in_features=4096, out_features=4096, bias=True),
            Linear(name="classifier.6", in_features=4096, out_features=1000, bias=True),
        ),
        default_batch=TORCHVISION_BATCH,
    )


#: (place in torchvision's ``features``, channels, side): Simonyan and Zisserman (2015), table 1, D
_VGG16 = (
    *((0, 64, 224), (2, 64, 224)),
    *((5, 128, 112), (7, 128, 112)),
    *((10, 256, 56), (12, 256, 56), (14, 256, 56)),
    *((17, 512, 28), (19, 512, 28), (21, 512, 28)),
    *((24, 512, 14), (26, 512, 14), (28, 512, 14)),
)


def vgg16_imagenet() -> Network:
    """VGG-16, configuration D (Simonyan and Zisserman, 2015), without batch norm."""
    channels = (3, *(width for _, width, _ in _VGG16))
    layers = [
        _biased(_conv(f"features.{place}", (before, width), (side, side), 3))
        for before, (place, width, side) in zip(channels, _VGG16, strict=False)
    ]
    return Network(
        name="vgg16-imagenet",
        source="Simonyan and Zisserman 2015 (arXiv:1409.1556), table 1 D, batch 256;"
        " torchvision vgg16",
        layers=(
            _first(layers[0]),
            *layers[1:],
            Linear(name="classifier.0", in_features=512 * 7 * 7, out_features=4096, bias=True),
            Linear(name="classifier.3", in_features=4096, out_features=4096, bias=True),
            Linear(name="classifier.6", in_features=4096, out_features=1000, bias=True),
        ),
        default_batch=256,
    )


#: expansion t, channels c, repeats n, stride s: Sandler et al. (2018), table 2
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _inverted_residual(
    name: str, channels: tuple[int, int], size: tuple[int, int], stride: int, expansion: int
) -> Iterator[Conv2d]:
    """Expand (1 × 1), filter each channel (3 × 3), project (1 × 1): Sandler et al., table 1."""
    wide, place = channels[0] * expansion, 0
    if expansion != 1:
        yield _conv(f"{name}.conv.0.0", (channels[0], wide), size, 1)
        place = 1
    depthwise = _conv(f"{name}.conv.{place}.0", (wide, wide), size, 3, stride, groups=wide)
    yield depthwise
    yield _conv(f"{name}.conv.{place + 1}", (wide, channels[1]), depthwise.out_size, 1)


def _mobilenet_v2_convolutions() -> tuple[Conv2d, ...]:
    layers = [_first(_conv("features.0.0", (3, 32), (224, 224), 3, 2))]
    place = 0
    for expansion, channels, repeats, stride in _MOBILENET_V2:
        for index in range(repeats):
            place += 1
            before, step = layers[-1], 1 if index else stride
            pair = (before.out_channels, channels)
            layers += _inverted_residual(
                f"features.{place}", pair, before.out_size, step, expansion
            )
    layers.append(_conv("features.18.0", (320, 1280), layers[-1].out_size, 1))
    return tuple(layers)


def mobilenetv2_imagenet() -> Network:
    """MobileNetV2 of width 1.0 (Sandler et al., 2018, table 2) as in torchvision."""
    layers = _mobilenet_v2_convolutions()
    head = Linear(name="classifier.1", in_features=1280, out_features=1000, bias=True)
    return Network(
        name="mobilenetv2-imagenet",
        source="Sandler et al. 2018 (arXiv:1801.04381), table 2; torchvision mobilenet_v2,"
        " batch 8 × 32",
        layers=(*layers, head),
        other_parameters=_norm_parameters(layers),
        default_batch=TORCHVISION_BATCH,
    )


def digits_cnn() -> Network:
    """The network of the training probes: 8 × 8 digits, three convolutions, one linear layer."""
    first = _first(_biased(_conv("conv1", (1, 16), (8, 8), 3)))
    second = _biased(_conv("conv2", (16, 32), first.out_size, 3))
    third = _biased(_conv("conv3", (32, 32), second.out_size, 3, stride=2))
    return Network(
        name="digits-cnn",
        source="ours, for the training probes; images: UCI optical digits, 8 × 8; batch 64 is ours",
        layers=(
            first,
            second,
            third,
            Linear(name="fc", in_features=32 * 4 * 4, out_features=10, bias=True),
        ),
        default_batch=64,
    )
