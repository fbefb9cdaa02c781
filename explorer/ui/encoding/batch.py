"""All of the session's pictures at once: a table that sorts, and files to take away."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.codes import (
    Codes,
    codes_of,
    join,
    nearest_classes,
    to_arrays,
    to_csv,
    without_verdicts,
)
from explorer.encode.verdicts import Verdict
from explorer.images.sheet import tile, to_picture
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.regularity.health import severe_fault
from explorer.ui import cached
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.familiar import familiarity_of, verdicts_of
from explorer.ui.encoding.files import to_data_url, to_npz, to_png
from explorer.ui.encoding.gallery import session_gallery
from explorer.ui.encoding.verdict import ANSWERS

TABLE, ROW_HEIGHT, MOST_HEIGHT = "encode-batch", 56, 520
SHEET_COLUMNS, SHEET_WIDTH = 10, 1600


def show_batch(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The table and the downloads."""
    gallery = session_gallery()
    with st.spinner("Encoding the pictures…"):
        everyone = encode_pictures(model, gallery, gallery.pictures)
        familiarity = familiarity_of(model)
        verdicts = None if familiarity is None else verdicts_of(familiarity, model, everyone)
        codes = codes_of_pictures(everyone, classes_of(model, everyone), verdicts)
        if severe_fault(cached.faults_of(listing, model)) is not None:
            codes = without_verdicts(codes)  # the line above says why
    show_table(everyone, codes)
    missing = len(gallery.pictures) - len(everyone)
    if missing:
        st.caption(f"{missing} more cannot be prepared as they are set; open one to see why.")
    if familiarity is None:
        st.caption(
            "The percentiles need figures of the held-out pictures, which this checkpoint has not: "
            f"run `python -m explorer.encode.familiarity {listing.name}` once."
        )
    show_downloads(listing, everyone, codes)


def classes_of(model: OpenedModel, everyone: Sequence[EncodedPicture]) -> list[str] | None:
    """What most of each picture's nearest codes are; None without labels."""
    labels, classes = model.encodings.labels, model.config.data.classes
    if labels is None or not classes:
        return None
    means = np.stack([one.mean for one in everyone])
    return [classes[label] for label in nearest_classes(means, model.encodings.mean, labels)]


def codes_of_pictures(
    everyone: Sequence[EncodedPicture],
    classes: Sequence[str] | None,
    verdicts: Sequence[Verdict] | None,
) -> Codes:
    """The pictures, at least one, as `python -m explorer.encode` has them in its table."""
    found = join(
        [
            codes_of(
                one.bounds,
                None if classes is None else [classes[row]],
                None if verdicts is None else [verdicts[row]],
            )
            for row, one in enumerate(everyone)
        ]
    )
    assert found is not None
    return found


def show_table(everyone: Sequence[EncodedPicture], codes: Codes) -> None:
    """One row a picture; a row that is picked becomes the picture that is looked at."""
    bound = "Reconstruction NLL, nats" if codes.kl is None else "−ELBO, nats"
    columns: dict[str, Any] = {
        "Picture": [to_data_url(to_picture(one.image)) for one in everyone],
        "No.": [one.number for one in everyone],
        "Name": [one.picture.name for one in everyone],
        bound: [one.bounds.bound[0] for one in everyone],
    }
    if codes.kl is not None:
        columns["KL, nats"] = codes.kl
    if codes.bound_percentile is not None:
        columns["Percentile"] = codes.bound_percentile
    if codes.nearest_class is not None:
        columns["Nearest class"] = list(codes.nearest_class)
    if codes.familiarity is not None:
        columns["Like the training data?"] = [ANSWERS[word] for word in codes.familiarity]
    height = min(MOST_HEIGHT, ROW_HEIGHT * len(everyone) + 40)
    chosen = st.dataframe(
        columns,
        key=TABLE,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=height,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Picture": st.column_config.ImageColumn("Picture", width=70, help="The model's input."),
            "No.": st.column_config.NumberColumn(width=50),
            bound: st.column_config.NumberColumn(
                format="%.1f", help="What the picture costs the model; lower is better."
            ),
            "KL, nats": st.column_config.NumberColumn(format="%.1f"),
            "Percentile": st.column_config.ProgressColumn(
                format="%.0f",
                min_value=0,
                max_value=100,
                help="The share of held-out pictures that cost less.",
            ),
            "Nearest class": st.column_config.TextColumn(
                help="What most of the 12 nearest held-out pictures are."
            ),
        },
    )
    st.caption("A click on a heading sorts; a picked row is looked at above.")
    rows = chosen["selection"]["rows"]
    if rows and rows[0] < len(everyone):
        gallery, picked = session_gallery(), everyone[rows[0]].picture.id
        if st.session_state.get("encode-batch-picked") != picked:
            st.session_state["encode-batch-picked"] = picked
            if gallery.chosen_id != picked:
                gallery.choose(picked)
                st.rerun()
    else:
        st.session_state.pop("encode-batch-picked", None)


def show_downloads(listing: Listing, everyone: Sequence[EncodedPicture], codes: Codes) -> None:
    """Codes and pictures as files, each made when it is asked for."""
    names = [one.picture.name for one in everyone]
    sheet = [(one.image, one.bounds.reconstruction[0]) for one in everyone]
    with st.container(horizontal=True):
        st.download_button(
            "Codes as CSV",
            lambda: to_csv(names, codes).encode("utf-8", "backslashreplace"),
            f"{listing.name}-codes.csv",
            "text/csv",
            key="encode-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Codes as NPZ",
            lambda: to_npz(to_arrays(names, codes)),
            f"{listing.name}-codes.npz",
            "application/octet-stream",
            key="encode-npz",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Pictures as PNG",
            lambda: to_png(pictures_sheet(sheet)),
            f"{listing.name}-pictures.png",
            "image/png",
            key="encode-png",
            icon=":material/download:",
            on_click="ignore",
            help="Each picture as the model gets it, its reconstruction below it.",
        )


def pictures_sheet(
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> NDArray[np.uint8]:
    """Inputs with their reconstructions below them, (H', W') or (H', W', 3)."""
    columns = min(SHEET_COLUMNS, len(pairs))
    blank = np.ones_like(pairs[0][0])
    rows: list[NDArray[np.float32]] = []
    for start in range(0, len(pairs), columns):
        some = pairs[start : start + columns]
        rest = [blank] * (columns - len(some))
        rows += [*(one for one, _ in some), *rest, *(other for _, other in some), *rest]
    scale = max(1, SHEET_WIDTH // (columns * blank.shape[2]))
    return tile(np.stack(rows), columns, scale=min(scale, 8), gap=4)
