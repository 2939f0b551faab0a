"""The table of weights: where each comes from, its size, digest and licence. One entry is all that a new file needs.

Digests and sizes stand here only where independent public manifests agree on them; otherwise they are None, the
digest of the first download is recorded beside the file, and every later use is held to it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weight:
    """A file, or a folder of a Hugging Face repository, that mmbench can use.

    Attributes:
        name: What users type.
        file: Path below the weights folder; MMDisCo's own layout below ./checkpoints where it has one.
        sources: Tried in order: `https://...`, or `hf://OWNER/REPO@REVISION/FILE`; none if only people can fetch it.
        purpose: What it is for, a few words.
        licence: As its publisher states it.
        sha256: Digest, if published.
        bytes: Size, if published.
        non_commercial: The licence forbids commercial use, so a user accepts it once before the download.
        page: Where people read about it, and its licence.
        patterns: For a folder: which files of the repository belong to it; empty for a single file.
        members: For a folder: files without which it is of no use; "a|b" is either of two.
        also: Other paths below the weights folder that it may lie at.
    """

    name: str
    file: str
    sources: tuple[str, ...]
    purpose: str
    licence: str
    sha256: str | None = None
    bytes: int | None = None
    non_commercial: bool = False
    page: str = ""
    patterns: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def _networks(diffusers: str, transformers: str = "") -> tuple[str, ...]:
    """Files of networks in folders of these names, as the two libraries save them; "." is the folder itself."""
    names = {"diffusion_pytorch_model.safetensors|diffusion_pytorch_model.bin": diffusers.split()}
    names["model.safetensors|pytorch_model.bin"] = transformers.split()
    files = [(folder, file) for weights, folders in names.items() for folder in folders for file in ("", weights)]
    return tuple(
        "|".join(f"{folder}/{name}".removeprefix("./") for name in (file or "config.json").split("|"))
        for folder, file in files
    )


def _tokenizer(folder: str) -> tuple[str, ...]:
    """Files of a tokenizer, of the old form or of the new one."""
    return tuple(f"{folder}/{file}|{folder}/tokenizer.json" for file in ("vocab.json", "merges.txt"))


BY_NC_SA = "CC BY-NC-SA 4.0"
MIT_CODE = "MIT (its code; none stated for the weights)"
HUB = "https://huggingface.co"
MM_DIFFUSION = "https://github.com/researchmm/MM-Diffusion?tab=readme-ov-file#models"
SPECVQGAN = "https://a3s.fi/swift/v1/AUTH_a235c0f452d648828f745589cde1219a/specvqgan_public"
DIFF_FOLEY = "hf://SimianLuo/Diff-Foley@b17ddbe76e6d42f4b4135eeb443b1c1644267e3e/diff_foley_ckpt"

METRIC_NETWORKS = (
    Weight(
        "i3d",
        "i3d_torchscript.pt",
        (
            "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
            "hf://flateon/FVD-I3D-torchscript@main/i3d_torchscript.pt",
        ),
        "FVD: I3D, Kinetics-400 logits (TorchScript)",
        "none stated; port of DeepMind's I3D (Apache-2.0)",
        "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
        51_235_320,
        page="https://github.com/universome/stylegan-v",
    ),
    Weight(
        "vggish",
        "vggish-10086976.pth",
        ("https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",),
        "FAD: VGGish embeddings",
        "Apache-2.0",
        "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        288_567_937,
        page="https://github.com/harritaylor/torchvggish",
    ),
    Weight(
        "imagebind",
        "imagebind_huge.pth",
        ("https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth",),
        "IB-TV, IB-TA, IB-AV: ImageBind huge",
        BY_NC_SA,
        "d6f6c22bedcc90708448d5d2fbb7b2db9c73f505dc89bd0b2e09b23af1b62157",
        4_803_584_173,
        non_commercial=True,
        page="https://github.com/facebookresearch/ImageBind/blob/main/LICENSE",
    ),
    Weight(
        "clip_bpe",
        "bpe_simple_vocab_16e6.txt.gz",
        (
            "https://raw.githubusercontent.com/openai/CLIP/d05afc436d78f1c48dc0dbf8e5980a9d471f35f6"
            "/clip/bpe_simple_vocab_16e6.txt.gz",
        ),
        "ImageBind and CLIP text: byte-pair merges",
        "MIT",
        "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
        1_356_917,
        page="https://github.com/openai/CLIP",
    ),
    Weight(
        "passt",
        "passt-s-f128-p16-s10-ap.476-swa.pt",
        ("https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",),
        "FD, KL, IS: PaSST, AudioSet classes",
        "Apache-2.0",
        "302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
        344_665_734,
        page="https://github.com/kkoutini/PaSST",
    ),
    Weight(
        "pann",
        "Cnn14_16k_mAP=0.438.pth",
        ("https://zenodo.org/records/3987831/files/Cnn14_16k_mAP%3D0.438.pth?download=1",),
        "FD, KL, IS: PANNs' Cnn14 at 16 kHz, AudioSet classes",
        "CC-BY-4.0 (its code MIT)",
        "e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
        358_668_570,
        page="https://zenodo.org/records/3987831",
    ),
)

DISCRIMINATORS = tuple(
    Weight(
        name,
        f"mmdisco/{file}",
        (f"hf://AkioHayakawa/MMDisCo@main/{file}",),
        f"MMDisCo discriminator, released: {pair}",
        MIT_CODE,
        page=f"{HUB}/AkioHayakawa/MMDisCo",
    )
    for name, file, pair in (
        ("mmdisco_audioldm_animatediff", "audioldm_animediff_vggsound.pt", "AudioLDM / AnimateDiff, VGGSound"),
        ("mmdisco_auffusion_vc2", "auffusion_videocrafter2_vggsound.pt", "Auffusion / VideoCrafter2, VGGSound"),
        ("mmdisco_mmdiffusion_aistpp", "mmdiffusion_aist++.pt", "MM-Diffusion, AIST++"),
        ("mmdisco_mmdiffusion_landscape", "mmdiffusion_landscape.pt", "MM-Diffusion, Landscape"),
    )
)

MM_DIFFUSION_MODELS = tuple(
    Weight(name, f"mmdiffusion/{file}", (), f"MM-Diffusion {role}", MIT_CODE, page=MM_DIFFUSION, also=also)
    for name, file, role, also in (
        ("mmdiffusion_aistpp", "AIST++.pt", "64x64, AIST++", ()),
        ("mmdiffusion_aistpp_sr", "AIST++_SR.pt", "64 to 256 super-resolution, AIST++", ()),
        ("mmdiffusion_landscape", "landscape.pt", "64x64, Landscape", ("mmdiffusion/Landscape.pt",)),
        (
            "mmdiffusion_landscape_sr",
            "landscape_SR.pt",
            "64 to 256 super-resolution, Landscape",
            ("mmdiffusion/Landscape_SR.pt",),
        ),
    )
)

BASE_MODELS = (
    Weight(
        "audioldm",
        "audioldm-m-full",
        ("hf://cvssp/audioldm-m-full@77e8492b2710bf733ffaf1dfdbeb8b9347cc0bd4",),
        "AudioLDM, text to audio",
        BY_NC_SA,
        non_commercial=True,
        page=f"{HUB}/cvssp/audioldm-m-full",
        patterns=("unet/*", "vae/*", "text_encoder/*", "tokenizer/*", "vocoder/*", "scheduler/*", "model_index.json"),
        members=(*_networks("unet vae", "text_encoder vocoder"), *_tokenizer("tokenizer")),
    ),
    Weight(
        "animatediff",
        "animatediff-motion-adapter-v1-5-2",
        ("hf://guoyww/animatediff-motion-adapter-v1-5-2@6167b88ffe39b4441fdf2113e77b99a6f56b7906",),
        "AnimateDiff motion adapter",
        "none stated",
        page=f"{HUB}/guoyww/animatediff-motion-adapter-v1-5-2",
        patterns=("config.json", "diffusion_pytorch_model.safetensors"),
        members=_networks("."),
    ),
    Weight(
        "realistic_vision",
        "Realistic_Vision_V5.1_noVAE",
        ("hf://SG161222/Realistic_Vision_V5.1_noVAE@305469dfd7d7410cff6299d34727e237374b5f36",),
        "Stable Diffusion 1.5 that AnimateDiff animates",
        "CreativeML OpenRAIL-M",
        page=f"{HUB}/SG161222/Realistic_Vision_V5.1_noVAE",
        patterns=("unet/*", "vae/*", "text_encoder/*", "tokenizer/*", "scheduler/*", "model_index.json"),
        members=(*_networks("unet vae", "text_encoder"), *_tokenizer("tokenizer")),
    ),
    Weight(
        "auffusion",
        "auffusion-full",
        ("hf://auffusion/auffusion-full@40f77095d9811270d2d1cc2bc91ea250883f0106",),
        "Auffusion, text to audio",
        BY_NC_SA,
        non_commercial=True,
        page=f"{HUB}/auffusion/auffusion-full",
        patterns=(
            *("unet/*", "vae/*", "scheduler/*", "text_encoder_0/*", "condition_adapter_0/*", "vocoder/*"),
            "condition_config.json",
        ),
        members=(
            *_networks("unet vae", "text_encoder_0"),
            *_tokenizer("text_encoder_0"),
            *("condition_adapter_0/condition_adapter.pt", "vocoder/vocoder.pt"),
        ),
    ),
    Weight(
        "videocrafter2",
        "video_crafter/base_512_v2/model.ckpt",
        ("hf://VideoCrafter/VideoCrafter2@7b4079838622fcba3fc2c9575210df3ed1cb8d69/model.ckpt",),
        "VideoCrafter2, text to video",
        "Apache-2.0",
        page=f"{HUB}/VideoCrafter/VideoCrafter2",
    ),
)

CASCADES = (
    Weight(
        "specvqgan_transformer",
        "specvqgan/2021-07-30T21-34-25_vggsound_transformer.tar.gz",
        (f"{SPECVQGAN}/models/2021-07-30T21-34-25_vggsound_transformer.tar.gz",),
        "SpecVQGAN, 5 ResNet50 features, VGGSound",
        MIT_CODE,
        page="https://github.com/v-iashin/SpecVQGAN",
    ),
    Weight(
        "specvqgan_melgan",
        "specvqgan/netG.pt",
        (f"{SPECVQGAN}/melgan_ckpt/netG.pt",),
        "SpecVQGAN vocoder (MelGAN)",
        MIT_CODE,
        page="https://github.com/v-iashin/SpecVQGAN",
    ),
    Weight(
        "resnet50",
        "resnet50-0676ba61.pth",
        ("https://download.pytorch.org/models/resnet50-0676ba61.pth",),
        "SpecVQGAN visual features (ImageNet V1)",
        "BSD-3-Clause (torchvision)",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        102_530_333,
        page="https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.resnet50.html",
    ),
    *(
        Weight(
            f"difffoley_{name}",
            f"diff_foley/{file}",
            (f"{DIFF_FOLEY}/{file}",),
            f"Diff-Foley {role}",
            "MIT",
            page=f"{HUB}/SimianLuo/Diff-Foley",
        )
        for name, file, role in (
            ("cavp", "cavp_epoch66.ckpt", "visual features (CAVP)"),
            ("ldm", "ldm_epoch240.ckpt", "latent diffusion"),
            ("classifier", "double_guidance_classifier.ckpt", "alignment classifier"),
        )
    ),
)

KNOWN: dict[str, Weight] = {
    weight.name: weight for weight in (*METRIC_NETWORKS, *DISCRIMINATORS, *MM_DIFFUSION_MODELS, *BASE_MODELS, *CASCADES)
}
