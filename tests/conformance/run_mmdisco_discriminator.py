"""MMDisCo's discriminator: logit, probability and the guidance gradients of the official class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.discriminator import load_discriminator
from tests.conformance.harness import Fixture, runner

FUSION = {
    "aggregate_time_and_cat_ch": "mlp",
    "cat_time_and_apply_transformer": "naive",
    "interp_time_and_cat_ch_and_apply_transformer": "frieren",
}
RESIDUAL_AS_RELEASED = {
    "cross_attention_resolutions": [],
    "video_attention_resolutions": [],
    "audio_attention_resolutions": [],
    "video_conv_type": "2d+1d",
    "dropout": 0,
    "use_scale_shift_norm": True,
    "first_norm_type": None,
}


def config_of(official: Mapping[str, Any], **layout: bool) -> DiscriminatorConfig:
    """Our config for the constructor arguments of the official class."""
    extractor, fusion = official["feature_extractor"], official["fusion_model_conf"]
    design = FUSION[fusion["fusion_type"]]
    settings: dict[str, Any] = {
        "video_channels": extractor["video_cdim"],
        "audio_channels": extractor["audio_cdim"],
        "embed_channels": official["time_embed_dims"],
        "video_text_channels": official["video_text_emb_dims"] if official["text_cond"] else None,
        "audio_text_channels": official["audio_text_emb_dims"] if official["text_cond"] else None,
        "fusion_channels": fusion["model_channels"],
        "fusion_layers": fusion["num_attn_layers"],
        "fusion_out_channels": fusion["out_channels"],
        "fusion_class_token": fusion["use_class_token"],
    }
    assert official["video_input_type"] == official["audio_input_type"] == "sample_only"
    assert official["last_sigmoid"]
    if extractor["class"] == "VAResidualBlocks":
        assert {key: extractor[key] for key in RESIDUAL_AS_RELEASED} == RESIDUAL_AS_RELEASED
        settings |= {
            "audio_ndim": 1 if extractor["audio_conv_type"] == "1d" else 2,
            "channels": extractor["model_channels"],
            "num_blocks": extractor["num_res_blocks"],
            "channel_mult": extractor["channel_mult"],
            "dilation_cycle": extractor["max_dila"],
        }
        return DiscriminatorConfig(design=f"res_{design}", **settings, **layout)  # type: ignore[arg-type]
    video, audio = extractor["video_extractor"], extractor["audio_extractor"]
    shared = {key: video[key] for key in ("model_dim", "num_layers", "num_heads", "output_dim")}
    assert shared == {key: audio[key] for key in shared}
    settings |= {
        "audio_ndim": audio["input_ndim"],
        "video_size": video["input_size"],
        "audio_size": audio["input_size"],
        "video_patch": video["patch_size"],
        "audio_patch": audio["patch_size"],
        "vit_channels": video["model_dim"],
        "vit_layers": video["num_layers"],
        "vit_heads": video["num_heads"],
        "vit_out_channels": video["output_dim"],
    }
    return DiscriminatorConfig(design=f"vit_{design}", **settings, **layout)  # type: ignore[arg-type]


@runner("mmdisco_discriminator")
def mmdisco_discriminator(fixture: Fixture) -> None:
    official = fixture.config
    config = config_of(
        official["constructor"],
        video_frames_first=not official["video_channel_time_transpose"],
        audio_mel_first=official["audio_spatial_transpose"],
    )
    model = load_discriminator(fixture.weights(), config)
    video, audio = fixture.input("video").requires_grad_(), fixture.input("audio").requires_grad_()
    texts = [fixture.input(f"{kind}_text_emb") for kind in ("video", "audio")] if config.text else []
    logit: Tensor = model(video, audio, fixture.input("timesteps"), *texts)
    prob = torch.sigmoid(logit)
    logit_exp = torch.log(prob + 1e-5) - torch.log1p(-prob + 1e-5)
    by_video, by_audio = torch.autograd.grad(logit_exp.sum(), (video, audio))
    fixture.check("logit", logit)
    fixture.check("prob", prob)
    fixture.check("logit_exp", logit_exp)
    fixture.check("pred_video", by_video * fixture.input("score_factor_video"))
    fixture.check("pred_audio", by_audio * fixture.input("score_factor_audio"))
