"""The checkpoints that come along: each one's name and the flags that train it."""

_CONV = "--architecture conv --hidden-dims 256 --epochs 30"
_LARGE = "--architecture conv --width 16 --hidden-dims 256 --epochs 30"

# The default Gaussian, for colours are no probabilities; 20 epochs bring back hair, skin and
# glasses, but average the smile away.
_FACES = (
    "--architecture conv --width 16 --hidden-dims 256 --likelihood gaussian --sigma 0.1 --epochs 20"
)

# Small, for three of them come along: a third of the others' width.
_REPAIR = "--architecture conv --width 12 --hidden-dims 128 --schedule cosine --epochs 12"


def _pair(data: str, latent_dim: int, flags: str, seeds: tuple[int, ...] = (0,)) -> dict[str, str]:
    found = {}
    for seed in seeds:
        for kind in ("vae", "ae"):
            name = f"{data}-{kind}-{latent_dim}" + (f"-seed{seed}" if seed else "")
            told = f" --seed {seed}" if seed else ""
            found[name] = f"--data {data} --kind {kind} --latent-dim {latent_dim} {flags}{told}"
    return found


# What undoes damage: an AE whose input is damaged and whose answer is held against the whole image.
REPAIRERS: dict[str, str] = {
    f"mnist-{what}-32": f"--data mnist --kind ae --latent-dim 32 {_REPAIR} --corrupt {damage}"
    for what, damage in (
        ("denoise", "noise --corrupt-amount 0.5"),
        ("inpaint", "mask --corrupt-amount 0.5"),
        ("superres", "downsample --corrupt-amount 4"),
    )
}

GALLERY: dict[str, str] = {
    **_pair("digits", 8, "--epochs 300", seeds=(0, 1, 2)),
    **_pair("mnist", 2, _CONV),
    **_pair("mnist", 16, _CONV),
    "mnist-vae-16-beta4": f"--data mnist --kind vae --latent-dim 16 {_CONV} --beta 4",
    "mnist-infovae-16": f"--data mnist --kind infovae --latent-dim 16 {_CONV}",
    **_pair("fashion-mnist", 16, _CONV),
    **_pair("sprites", 10, _LARGE),
    **_pair("faces", 16, _FACES),
    **REPAIRERS,
}


def find_flags(name: str) -> str:
    """The flags that train a checkpoint of the gallery, its name included."""
    return f"{GALLERY[name]} --name {name}"
