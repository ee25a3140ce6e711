"""Transformers of the catalogue; layers are named as in Hugging Face transformers.

The two products of attention have no name there: ``qk`` is QKᵀ (the scores), ``pv`` is the product
of the attention weights with the values. They are counted dense: a causal mask saves nothing here,
and at the last token, the longest sum, there is nothing to save.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.networks.layers import Layer, Linear, MatMul
from models.networks.network import Network


def _attention_products(
    name: str, tokens: int, heads: int, kv_heads: int, head_dim: int
) -> tuple[MatMul, MatMul]:
    """QKᵀ and PV; query heads that share a key and value head are stacked in the rows."""
    rows = heads // kv_heads * tokens
    scores = MatMul(name=f"{name}.qk", rows=rows, cols=tokens, length=head_dim, count=kv_heads)
    context = MatMul(name=f"{name}.pv", rows=rows, cols=head_dim, length=tokens, count=kv_heads)
    return scores, context


def _biased(name: str, in_features: int, out_features: int, tokens: int) -> Linear:
    return Linear(
        name=name, in_features=in_features, out_features=out_features, positions=tokens, bias=True
    )


def _bert_layer(name: str, tokens: int) -> Iterator[Layer]:
    attention = f"{name}.attention"
    for projection in ("query", "key", "value"):
        yield _biased(f"{attention}.self.{projection}", 768, 768, tokens)
    yield from _attention_products(f"{attention}.self", tokens, 12, 12, 64)
    yield _biased(f"{attention}.output.dense", 768, 768, tokens)
    yield _biased(f"{name}.intermediate.dense", 768, 3072, tokens)
    yield _biased(f"{name}.output.dense", 3072, 768, tokens)


def bert_base(tokens: int = 512) -> Network:
    """BERT-base, uncased (Devlin et al., 2019): the encoder with its pooler.

    That is the model whose size is published. The heads of pre-training are left out: the
    masked-word head (768 × 30522, tied) reads only the 15 % of positions that are masked.
    """
    layers = [part for i in range(12) for part in _bert_layer(f"encoder.layer.{i}", tokens)]
    embeddings = (30522 + 512 + 2) * 768
    norms = (1 + 2 * 12) * 2 * 768
    return Network(
        name="bert-base",
        source="Devlin et al. 2019 (arXiv:1810.04805), base, uncased, with pooler, without the"
        " masked-word head; appendix A.2: batches of 256 sequences",
        layers=(*layers, _biased("pooler.dense", 768, 768, tokens=1)),
        other_parameters=embeddings + norms,
        default_batch=256,
    )


def _gpt2_layer(name: str, tokens: int) -> Iterator[Layer]:
    yield _biased(f"{name}.attn.c_attn", 768, 3 * 768, tokens)
    yield from _attention_products(f"{name}.attn", tokens, 12, 12, 64)
    yield _biased(f"{name}.attn.c_proj", 768, 768, tokens)
    yield _biased(f"{name}.mlp.c_fc", 768, 3072, tokens)
    yield _biased(f"{name}.mlp.c_proj", 3072, 768, tokens)


def gpt2_small(tokens: int = 1024) -> Network:
    """GPT-2 small (Radford et al., 2019). The head is the token embedding, counted once, as head.

    The gradient of the tied matrix has two parts; only the head's is a GEMM, the embedding's adds
    one row per token.
    """
    layers = [part for i in range(12) for part in _gpt2_layer(f"transformer.h.{i}", tokens)]
    head = Linear(name="lm_head", in_features=768, out_features=50257, positions=tokens)
    position_embedding, norms = 1024 * 768, (2 * 12 + 1) * 2 * 768
    return Network(
        name="gpt2-small",
        source="Radford et al. 2019, Language models are unsupervised multitask learners,"
        " section 2.3: 1024 tokens, batch 512",
        layers=(*layers, head),
        other_parameters=position_embedding + norms,
        default_batch=512,
    )


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """The numbers that tell one Llama from another."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int

    def projections(self, name: str) -> Iterator[tuple[str, int, int]]:
        """(name, in, out) of Q, K and V."""
        for part, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
            yield f"{name}.{part}_proj", self.hidden, heads * self.head_dim


#: Grattafiori et al. (2024), The Llama 3 herd of models, table 3
LLAMA3_8B = LlamaShape(
    layers=32, hidden=4096, ffn=14336, heads=32, kv_heads=8, head_dim=128, vocabulary=128256
)


def _llama_layer(name: str, shape: LlamaShape, tokens: int) -> Iterator[Layer]:
    attention, width = f"{name}.self_attn", shape.heads * shape.head_dim
    for part in shape.projections(attention):
        yield _plain(*part, tokens)
    yield from _attention_products(attention, tokens, shape.heads, shape.kv_heads, shape.head_dim)
    yield _plain(f"{attention}.o_proj", width, shape.hidden, tokens)
    for gate in ("gate", "up"):
        yield _plain(f"{name}.mlp.{gate}_proj", shape.hidden, shape.ffn, tokens)
    yield _plain(f"{name}.mlp.down_proj", shape.ffn, shape.hidden, tokens)


def _plain(name: str, in_features: int, out_features: int, tokens: int) -> Linear:
    return Linear(name=name, in_features=in_features, out_features=out_features, positions=tokens)


def llama(name: str, source: str, shape: LlamaShape, tokens: int, batch: int) -> Network:
    """A decoder with gated feed-forward, RMS norms, and a head of its own (not tied)."""
    names = (f"model.layers.{index}" for index in range(shape.layers))
    layers = [part for layer in names for part in _llama_layer(layer, shape, tokens)]
    embedding = shape.vocabulary * shape.hidden
    norms = (2 * shape.layers + 1) * shape.hidden
    return Network(
        name=name,
        source=source,
        layers=(*layers, _plain("lm_head", shape.hidden, shape.vocabulary, tokens)),
        other_parameters=embedding + norms,
        default_batch=batch,
    )


def llama3_8b(tokens: int = 8192) -> Network:
    """Llama 3 8B: 32 query heads on 8 key and value heads, head not tied."""
    source = (
        "Grattafiori et al. 2024 (arXiv:2407.21783), table 3: 8,192 tokens; one sequence per"
        " batch is ours, the paper's batch for 8B is not stated"
    )
    return llama("llama3-8b", source, LLAMA3_8B, tokens, batch=1)
