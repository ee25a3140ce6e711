"""The networks that are known by name."""

from collections.abc import Callable
from types import MappingProxyType

from models.networks import convolutional, transformers
from models.networks.network import Network

#: name -> what builds the network; building is cheap, but nobody pays for the ones not asked for
CATALOG: MappingProxyType[str, Callable[[], Network]] = MappingProxyType(
    {
        "digits-cnn": convolutional.digits_cnn,
        "resnet32-cifar10": convolutional.resnet32_cifar10,
        "resnet18-imagenet": convolutional.resnet18_imagenet,
        "resnet50-imagenet": convolutional.resnet50_imagenet,
        "alexnet-imagenet": convolutional.alexnet_imagenet,
        "vgg16-imagenet": convolutional.vgg16_imagenet,
        "mobilenetv2-imagenet": convolutional.mobilenetv2_imagenet,
        "bert-base": transformers.bert_base,
        "gpt2-small": transformers.gpt2_small,
        "llama3-8b": transformers.llama3_8b,
    }
)

#: those whose sequences may have another length, and what builds them with so many tokens
SEQUENCES: MappingProxyType[str, Callable[[int], Network]] = MappingProxyType(
    {
        "bert-base": transformers.bert_base,
        "gpt2-small": transformers.gpt2_small,
        "llama3-8b": transformers.llama3_8b,
    }
)


def network_names() -> tuple[str, ...]:
    """The names of the catalogue, small networks first.

    >>> network_names()[0]
    'digits-cnn'
    """
    return tuple(CATALOG)
