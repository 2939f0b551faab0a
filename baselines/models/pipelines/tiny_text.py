"""Text encoders of few untrained weights, and tokenizers that know single characters, so any words are prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transformers

from mmbench.networks.clip_tokens import VOCABULARY as CLIP_VOCABULARY
from mmbench.networks.clip_tokens import byte_characters

MAX_TOKENS = 256  # a longer prompt loses its tail
WIDTH = 32
VOCABULARY = 512  # more than any tokenizer here uses
T5_CHARACTERS = [*range(0x21, 0x7F), *range(0xA1, 0x180)]  # those of European languages; others are one, unknown


def t5_tokenizer() -> Any:
    """A T5Tokenizer whose tokens are characters."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [*special, ("▁", -2.0), *((chr(i), -2.0) for i in T5_CHARACTERS)]
    return transformers.T5Tokenizer(vocab=words, extra_ids=0, model_max_length=MAX_TOKENS)


def t5_encoder(width: int = WIDTH, multilingual: bool = False) -> Any:
    """A T5 encoder of two layers; umT5, with a table of positions in every layer, where `multilingual`."""
    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": width, "d_ff": 37, "d_kv": 8}
    sizes |= {"num_layers": 2, "num_heads": 4}
    if multilingual:
        return transformers.UMT5EncoderModel(transformers.UMT5Config(**sizes))
    return transformers.T5EncoderModel(transformers.T5Config(**sizes))


def clip_encoder(width: int) -> Any:
    """A text encoder of CLIP with two layers, for `bytewise_tokenizer`."""
    end = CLIP_VOCABULARY - 1
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "vocab_size": CLIP_VOCABULARY, "max_position_embeddings": MAX_TOKENS}
    sizes |= {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes))


def roberta_tokenizer() -> Any:
    """A RobertaTokenizer whose tokens are bytes, byte b as number b + 3."""
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 259, "<mask>": 260}
    vocabulary = special | {character: byte + 3 for byte, character in byte_characters().items()}
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=MAX_TOKENS)


CLAP_TEXT: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": MAX_TOKENS + 2,
}
CLAP_PROJECTION = 16


def clap_text_encoder() -> Any:
    """The text half of CLAP, with its projection."""
    config = transformers.ClapTextConfig(**CLAP_TEXT, projection_dim=CLAP_PROJECTION)
    return transformers.ClapTextModelWithProjection(config)


def clap(projection: int = CLAP_PROJECTION) -> tuple[Any, Any]:
    """CLAP of two halves with few weights, and its feature extractor."""
    sound: dict[str, Any] = {"spec_size": 8, "window_size": 4, "num_mel_bins": 8, "depths": [1, 1], "num_classes": 4}
    sound |= {"num_attention_heads": [1, 1], "patch_embeds_hidden_size": 4, "hidden_size": 8}
    sound |= {"patch_size": 2, "patch_stride": 2}
    config = transformers.ClapConfig(text_config=dict(CLAP_TEXT), audio_config=sound, projection_dim=projection)
    return transformers.ClapModel(config), transformers.ClapFeatureExtractor()


def gpt2(width: int) -> Any:
    """A GPT-2 of one layer, with the head it generates with."""
    sizes: dict[str, Any] = {"n_embd": width, "n_head": 2, "n_layer": 1, "vocab_size": VOCABULARY}
    sizes |= {"n_positions": 2 * MAX_TOKENS, "max_new_tokens": 8}  # whose hidden states AudioLDM 2 reads
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))
