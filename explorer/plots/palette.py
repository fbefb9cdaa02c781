"""Colours of classes that colour-blind eyes tell apart."""

import colorsys

# M. A. Petroff, "Accessible color sequences for data visualization", arXiv:2107.02270, ten colours.
PETROFF = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


def class_colours(count: int) -> list[str]:
    """One colour a class.

    Args:
        count: number of classes; 0 gives the one colour of unlabelled points.

    Returns:
        Hex colours; up to ten are Petroff's, more are spread over the hues in three lightnesses.
    """
    if count <= len(PETROFF):
        return list(PETROFF[: max(count, 1)])
    colours = []
    for place in range(count):
        red, green, blue = colorsys.hls_to_rgb(place / count, (0.42, 0.55, 0.68)[place % 3], 0.65)
        colours.append(f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}")
    return colours
