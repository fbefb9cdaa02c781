"""What every function of this package asks of the codes it is given."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.errors import LatentError

_LARGEST = float(np.finfo(np.float32).max)


def checked_codes(
    codes: ArrayLike, *, name: str = "codes", dim: int | None = None
) -> NDArray[np.float64]:
    """The codes as float64 of shape (N, D), each a finite float32.

    Distances are differences of large squares, so all of this package counts in float64.

    Args:
        codes: (N, D), N and D at least 1, any real number type.
        name: what the codes are called in an error.
        dim: the D that is needed, where one is.

    Raises:
        LatentError: another shape or type, or codes that are not finite (it says how many).
    """
    array: NDArray[Any] = np.asarray(codes)
    if array.dtype.kind not in "fiub":
        raise LatentError(f"The {name} must be real numbers; they are {array.dtype}.")
    if array.ndim != 2 or 0 in array.shape:
        raise LatentError(
            f"The {name} must have shape (N, D) with N and D at least 1; they have {array.shape}."
        )
    if dim is not None and array.shape[1] != dim:
        raise LatentError(f"The {name} have {array.shape[1]} latent axes; {dim} are needed.")
    array = array.astype(np.float64)
    # NaN compares false; what float32 cannot hold would turn infinite in a map or a decoder.
    broken = int((~(np.abs(array) <= _LARGEST).all(axis=1)).sum())
    if broken:
        raise LatentError(
            f"{broken} of {len(array)} {name} are not finite (NaN, infinite or beyond float32); "
            "leave them out, or look at the model that gave them."
        )
    return array
