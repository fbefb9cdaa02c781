"""Draw the pictures of docs/ENCODE.md.

    EXPLORER_DATA=FOLDER python -m docs.encode_pictures

MNIST and Fashion-MNIST must be at hand. Seeds are fixed and nothing is picked: of each kind
ten that lie evenly among 520 (ten alphabets of letters), drawn as benchmarks/familiarity.py draws.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.camera import photograph
from benchmarks.familiarity import make_pictures
from explorer.encode.familiarity import open_familiarity
from explorer.encode.repair import damage, hide, repair
from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.quality import psnr
from explorer.images.registry import load_images
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED

FOLDER = Path(__file__).parent / "encode"
MODEL = "mnist-vae-16"
COUNT, SIDE, GAP, FRAME, LABEL = 10, 56, 6, 4, 130
INK, PAPER = (60, 60, 60), (255, 255, 255)
# The same three in any light, and apart in brightness too.
COLOURS = {"familiar": (150, 205, 150), "unusual": (240, 170, 50), "unlike": (205, 40, 60)}
FONT = ImageFont.load_default(size=13)


def as_picture(pixels: np.ndarray, side: int = SIDE) -> Image.Image:
    """One grey image (1, H, W) in [0, 1], without blur."""
    values = np.round(255 * np.clip(pixels[0], 0, 1)).astype(np.uint8)
    return Image.fromarray(values).convert("RGB").resize((side, side), Image.Resampling.NEAREST)


def save(name: str, sheet: Image.Image) -> None:
    """Write a PNG of few colours."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    sheet.quantize(128).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def draw_verdicts() -> None:
    """Pictures of each kind in the colour of their verdict."""
    folder = SHIPPED / MODEL
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    known = open_familiarity(folder, config, encodings)
    codec = Codec.from_folder(folder)
    own, other = load_images("mnist"), load_images("fashion-mnist")
    fresh = np.delete(encodings.index, known.held_out.rows)
    target = ModelInput(config.data.image_shape, config.data.background)
    kinds = make_pictures(own, fresh, other, target, 520, 0)
    cell = SIDE + 2 * FRAME
    across = LABEL + COUNT * (cell + GAP)
    sheet = Image.new("RGB", (across, 24 + len(kinds) * (cell + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    x = LABEL
    for word, colour in COLOURS.items():
        pen.rectangle((x, 4, x + 12, 16), colour)
        pen.text((x + 18, 2), word, INK, FONT)
        x += 110
    for row, (kind, pictures) in enumerate(kinds.items()):
        y = 24 + row * (cell + GAP)
        pen.text((4, y + cell // 2 - 8), kind, INK, FONT)
        # Spread over what was drawn, so that all greys and the whole alphabet have their turn.
        some = pictures[np.linspace(0, len(pictures) - 1, COUNT).astype(int)]
        for place, verdict in enumerate(known.judge(codec, some)):
            left = LABEL + place * (cell + GAP)
            pen.rectangle((left, y, left + cell - 1, y + cell - 1), COLOURS[verdict.word])
            sheet.paste(as_picture(some[place]), (left + FRAME, y + FRAME))
    save("verdicts.png", sheet)


def draw_preparation() -> None:
    """A photographed digit, step by step."""
    config = load_config(SHIPPED / MODEL)
    target = ModelInput(config.data.image_shape, config.data.background)
    images = load_images("mnist")
    row = int(images.held_out_index[61])
    prepared = prepare_upload(photograph(images.images[row, 0], row), "photo.jpg", target)
    side, gap = 150, 10
    steps = prepared.steps
    sheet = Image.new("RGB", (len(steps) * (side + gap) - gap, side + 22), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, step in enumerate(steps):
        picture = Image.fromarray(step.picture).convert("RGB")
        factor = side / max(picture.size)
        kept = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
        picture = picture.resize(
            (round(picture.width * factor), round(picture.height * factor)), kept
        )
        x = place * (side + gap)
        pen.text((x, 2), step.title, INK, FONT)
        sheet.paste(picture, (x + (side - picture.width) // 2, 22 + (side - picture.height) // 2))
    save("preparation.png", sheet)


def draw_repairs() -> None:
    """Held-out digits damaged and repaired, the first of the held-out ones."""
    images = load_images("mnist")
    whole = images.floats(images.held_out_index[:COUNT])
    square = np.zeros((28, 28), np.bool_)
    square[8:20, 8:20] = True
    rows = [("the digit", whole)]
    for name, title, damaged, mask in (
        ("mnist-denoise-32", "noise 0.5", damage(whole, "noise", 0.5), None),
        ("mnist-inpaint-32", "12 x 12 hidden", hide(whole, square), square),
        ("mnist-superres-32", "7 x 7 pixels", damage(whole, "downsample", 4), None),
    ):
        repaired = repair(Codec.from_folder(SHIPPED / name), damaged, mask=mask)
        before, after = psnr(damaged, whole).mean(), psnr(repaired, whole).mean()
        rows += [(f"{title}, {before:.1f} dB", damaged), (f"repaired, {after:.1f} dB", repaired)]
    sheet = Image.new("RGB", (LABEL + 30 + COUNT * (SIDE + GAP), len(rows) * (SIDE + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (title, pictures) in enumerate(rows):
        y = number * (SIDE + GAP)
        pen.text((4, y + SIDE // 2 - 8), title, INK, FONT)
        for place, pixels in enumerate(pictures):
            sheet.paste(as_picture(pixels), (LABEL + 30 + place * (SIDE + GAP), y))
    save("repair.png", sheet)


if __name__ == "__main__":
    draw_preparation()
    draw_repairs()
    draw_verdicts()
