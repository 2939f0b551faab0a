"""The table of weights: where each comes from, its size, digest and licence. One entry is all that a new file needs.

Digests and sizes stand here only where independent public manifests agree on them; otherwise they are None, the
digest of the first download is recorded beside the file, and every later use is held to it.
"""

from __future__ import annotations

from mmbench.weights.known_prompts import PROMPT_LISTS
from mmbench.weights.weight import Weight


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
            "hf://flateon/FVD-I3D-torchscript@1c2d61711c52571ad617a1063e6fa691b212e184/i3d_torchscript.pt",
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
        "clap_htsat_base",
        "music_speech_audioset_epoch_15_esc_89.98.pt",
        (
            "hf://lukewys/laion_clap@b3708341862f581175dba5c356a4ebf74a9b6651"
            "/music_speech_audioset_epoch_15_esc_89.98.pt",
        ),
        "CLAP as in av-benchmark: LAION, HTSAT-base, no fusion",
        "CC0-1.0",
        "51c68f12f9d7ea25fdaaccf741ec7f81e93ee594455410f3bca4f47f88d8e006",
        2_352_471_003,
        page=f"{HUB}/lukewys/laion_clap",
    ),
    Weight(
        "clap_htsat_unfused",
        "clap-htsat-unfused/pytorch_model.bin",
        ("hf://laion/clap-htsat-unfused@8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a/pytorch_model.bin",),
        "CLAP as in JavisBench: LAION, HTSAT-tiny, no fusion",
        "Apache-2.0",
        "1cd3c601bc4afe0fa87be3de4c13dd2cfadd249fac1e29acf74a9b296c3219bb",
        614_525_833,
        page=f"{HUB}/laion/clap-htsat-unfused",
    ),
    Weight(
        "roberta_bpe",
        "roberta-base/tokenizer.json",
        ("hf://FacebookAI/roberta-base@e2da8e2f811d1448a5b465c236feacd80ffbac7b/tokenizer.json",),
        "CLAP text: RoBERTa's byte-pair vocabulary",
        "MIT",
        "847bbeab6174d66a88898f729d52fa8d355fafe1bea101cf960dd404581df70e",
        1_355_863,
        page=f"{HUB}/FacebookAI/roberta-base",
    ),
    Weight(
        "audiobox",
        "audiobox-aesthetics/model.safetensors",
        ("hf://facebook/audiobox-aesthetics@9b1dd8e5df9af7216e836a98974fe3b82c56ded6/model.safetensors",),
        "Audiobox Aesthetics: WavLM and four heads",
        "CC BY 4.0",
        "a5a3c2412649cc2384ec525ffd5180ce6c4778f43bed6108e0a1303de04d014e",
        415_472_992,
        page=f"{HUB}/facebook/audiobox-aesthetics",
    ),
    Weight(
        "audiobox_config",
        "audiobox-aesthetics/config.json",
        ("hf://facebook/audiobox-aesthetics@9b1dd8e5df9af7216e836a98974fe3b82c56ded6/config.json",),
        "Audiobox Aesthetics: the scale of each score",
        "CC BY 4.0",
        page=f"{HUB}/facebook/audiobox-aesthetics",
    ),
    Weight(
        "imagebind",
        "imagebind_huge.pth",
        ("https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth",),
        "ImageBind scores, JavisScore, AVHScore: huge",
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
        "clip_vit_b32",
        "clip-vit-base-patch32/pytorch_model.bin",
        ("hf://openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268/pytorch_model.bin",),
        "CLIP-SIM: CLIP ViT-B/32",
        "MIT",
        "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",
        605_247_071,
        page="https://github.com/openai/CLIP",
    ),
    Weight(
        "videomae_g_ssv2",
        "vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        ("hf://OpenGVLab/VideoMAE2@97d119d270aca7a1217fff7f413c0c543eb325d9/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",),
        "cd-FVD: VideoMAE-v2 ViT-g, Something-Something v2",
        "Apache-2.0 (its repository on the hub; MIT its code)",
        "5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
        2_023_804_201,
        page=f"{HUB}/OpenGVLab/VideoMAE2",
    ),
    Weight(
        "synchformer",
        "synchformer_state_dict.pth",
        (
            "https://github.com/hkchengrex/MMAudio/releases/download/v0.1/synchformer_state_dict.pth",
            "hf://hkchengrex/MMAudio/ext_weights/synchformer_state_dict.pth",
        ),
        "DeSync: Synchformer 24-01-04T16-39-21, AudioSet",
        "MIT",
        page="https://github.com/v-iashin/Synchformer",
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
        (f"hf://AkioHayakawa/MMDisCo/{file}",),
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

TABLES = (METRIC_NETWORKS, DISCRIMINATORS, MM_DIFFUSION_MODELS, BASE_MODELS, CASCADES, PROMPT_LISTS)
KNOWN: dict[str, Weight] = {weight.name: weight for table in TABLES for weight in table}
