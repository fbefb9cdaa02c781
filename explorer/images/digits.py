"""The small digits that come with scikit-learn: no download, eight pixels a side."""

import numpy as np

from explorer.images.dataset import ImageSet, split_images

HELD_OUT_SHARE = 0.2


def load_digits() -> ImageSet:
    """1,797 handwritten digits, (N, 1, 8, 8); 20 % held out."""
    # scikit-learn takes 1.6 s to import, which only this set is to pay.
    from sklearn import datasets

    bunch = datasets.load_digits()
    # The published values are counts of 0 to 16.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    train_index, held_out_index = split_images(len(images), HELD_OUT_SHARE)
    return ImageSet(
        name="digits",
        images=images,
        labels=bunch.target.astype(np.int64),
        classes=tuple(str(digit) for digit in bunch.target_names),
        train_index=train_index,
        held_out_index=held_out_index,
        credit=(
            "Optical recognition of handwritten digits, E. Alpaydin and C. Kaynak, "
            "UCI Machine Learning Repository"
        ),
        licence="CC BY 4.0",
    )
