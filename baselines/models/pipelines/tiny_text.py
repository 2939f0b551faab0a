"""Text encoders of few untrained weights, and tokenizers that know single characters, so any words are prompts."""

from __future__ import annotations

from typing import Any

import transformers

from mmbench.networks.clip_tokens import END, START, byte_characters

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
    encoder, config = (
        (transformers.UMT5EncoderModel, transformers.UMT5Config)
        if multilingual
        else (transformers.T5EncoderModel, transformers.T5Config)
    )
    return encoder(config(vocab_size=VOCABULARY, d_model=width, d_ff=37, d_kv=8, num_layers=2, num_heads=4))


def clip_tokenizer() -> Any:
    """A CLIPTokenizer whose tokens are bytes."""
    alphabet = list(byte_characters().values())
    words = [*alphabet, *(character + "</w>" for character in alphabet), START, END]
    vocabulary = {word: i for i, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=MAX_TOKENS)


def clip_encoder(width: int, tokenizer: Any) -> Any:
    """A text encoder of CLIP with two layers, for the tokens of `tokenizer`."""
    end = tokenizer.eos_token_id
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 2, "num_hidden_layers": 2}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": end, "pad_token_id": end}
    config = transformers.CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, **ids, **sizes)
    return transformers.CLIPTextModel(config)


def roberta_tokenizer(max_tokens: int = MAX_TOKENS) -> Any:
    """A RobertaTokenizer whose tokens are bytes, byte b as number b + 3."""
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 259, "<mask>": 260}
    vocabulary = special | {character: byte + 3 for byte, character in byte_characters().items()}
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=max_tokens)


CLAP_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": MAX_TOKENS + 2,
    "projection_dim": 16,
}


def clap_text_encoder() -> Any:
    """The text half of CLAP, with its projection."""
    return transformers.ClapTextModelWithProjection(transformers.ClapTextConfig(**CLAP_TEXT))


def clap() -> tuple[Any, Any]:
    """CLAP of two halves with few weights, and its feature extractor."""
    sound = {"spec_size": 8, "window_size": 4, "num_mel_bins": 8, "depths": [1, 1], "num_attention_heads": [1, 1]}
    sound |= {"patch_embeds_hidden_size": 4, "hidden_size": 8, "num_classes": 4, "patch_size": 2, "patch_stride": 2}
    model = transformers.ClapModel(
        transformers.ClapConfig(text_config=CLAP_TEXT, audio_config=sound, projection_dim=CLAP_TEXT["projection_dim"])
    )
    return model, transformers.ClapFeatureExtractor()


def gpt2(width: int) -> Any:
    """A GPT-2 of one layer, with the head it generates with."""
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_embd=width, n_head=2, n_layer=1, vocab_size=VOCABULARY, n_positions=2 * MAX_TOKENS, max_new_tokens=8
        )
    )
