"""All of the session's pictures at once: a table that sorts, and files to take away."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer.encode.codes import nearest_classes
from explorer.encode.familiarity import Familiarity, Verdict
from explorer.images.sheet import tile, to_picture
from explorer.latent.tables import codes_to_csv, codes_to_npz
from explorer.live.model import OpenedModel
from explorer.models.library import Listing
from explorer.ui.encoding.encoded import EncodedPicture, encode_pictures
from explorer.ui.encoding.familiar import familiarity_of, verdict_of
from explorer.ui.encoding.files import to_data_url, to_png
from explorer.ui.encoding.gallery import session_gallery

TABLE, ROW_HEIGHT, MOST_HEIGHT = "encode-batch", 56, 520
SHEET_COLUMNS, SHEET_WIDTH = 10, 1600
WORDS = {"familiar": "familiar", "unusual": "unusual", "unlike": "unlike the training data"}


def show_batch(listing: Listing, model: OpenedModel, encoded: EncodedPicture) -> None:
    """The table and the downloads."""
    gallery = session_gallery()
    with st.spinner("Encoding the pictures…"):
        everyone = encode_pictures(model, gallery, gallery.pictures)
        classes = classes_of(model, everyone)
        familiarity = familiarity_of(model)
        verdicts = (
            None
            if familiarity is None
            else [verdict_of(familiarity, model, one) for one in everyone]
        )
        percentiles = None if familiarity is None else percentiles_of(familiarity, everyone)
    show_table(model, everyone, classes, percentiles, verdicts)
    missing = len(gallery.pictures) - len(everyone)
    if missing:
        st.caption(f"{missing} more cannot be prepared as they are set; open one to see why.")
    if familiarity is None:
        st.caption(
            "The percentiles need figures of the held-out pictures, which this checkpoint has not: "
            f"run `python -m explorer.encode.familiarity {listing.name}` once."
        )
    show_downloads(listing, everyone, columns_of(everyone, classes, percentiles, verdicts))


def classes_of(model: OpenedModel, everyone: Sequence[EncodedPicture]) -> list[str] | None:
    """What most of each picture's nearest codes are; None without labels."""
    labels, classes = model.encodings.labels, model.config.data.classes
    if labels is None or not classes:
        return None
    means = np.stack([one.mean for one in everyone])
    return [classes[label] for label in nearest_classes(means, model.encodings.mean, labels)]


def bound_of(encoded: EncodedPicture) -> float:
    """What the picture costs, nats: of a VAE the negative ELBO, of an AE the reconstruction."""
    bound = encoded.bounds.negative_elbo
    return float(encoded.bounds.reconstruction_nll[0] if bound is None else bound[0])


def percentiles_of(
    familiarity: Familiarity, everyone: Sequence[EncodedPicture]
) -> NDArray[np.float64]:
    """How many in a hundred held-out pictures cost less than each, (N,)."""
    values = np.array([bound_of(one) for one in everyone], np.float32)
    return familiarity.held_out.percentile("bound", values)


def show_table(
    model: OpenedModel,
    everyone: Sequence[EncodedPicture],
    classes: Sequence[str] | None,
    percentiles: NDArray[np.float64] | None,
    verdicts: Sequence[Verdict] | None,
) -> None:
    """One row a picture; a row that is picked becomes the picture that is looked at."""
    is_vae = model.encodings.log_var is not None
    bound = "−ELBO, nats" if is_vae else "Reconstruction NLL, nats"
    columns: dict[str, Any] = {
        "Picture": [to_data_url(to_picture(one.image)) for one in everyone],
        "No.": [one.number for one in everyone],
        "Name": [one.picture.name for one in everyone],
        bound: [bound_of(one) for one in everyone],
    }
    if is_vae:
        columns["KL, nats"] = [one.kl for one in everyone]
    if percentiles is not None:
        columns["Percentile"] = percentiles
    if classes is not None:
        columns["Nearest class"] = list(classes)
    if verdicts is not None:
        columns["Like the training data?"] = [WORDS.get(one.word, one.word) for one in verdicts]
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


def show_downloads(
    listing: Listing, everyone: Sequence[EncodedPicture], columns: dict[str, NDArray[Any]]
) -> None:
    """Codes and pictures as files, each made when it is asked for."""
    sheet = [(one.image, one.bounds.reconstruction[0]) for one in everyone]
    with st.container(horizontal=True):
        st.download_button(
            "Codes as CSV",
            lambda: codes_to_csv(columns),
            f"{listing.name}-codes.csv",
            "text/csv",
            key="encode-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Codes as NPZ",
            lambda: codes_to_npz(columns),
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


def columns_of(
    everyone: Sequence[EncodedPicture],
    classes: Sequence[str] | None,
    percentiles: NDArray[np.float64] | None,
    verdicts: Sequence[Verdict] | None,
) -> dict[str, NDArray[Any]]:
    """The table as arrays by name: (N,), or (N, D)."""
    first = everyone[0].bounds
    found: dict[str, NDArray[Any]] = {
        "name": np.array([one.picture.name for one in everyone], np.str_),
        "mean": np.stack([one.mean for one in everyone]),
    }
    if first.log_var is not None:
        found["log_var"] = np.concatenate(
            [one.bounds.log_var for one in everyone if one.bounds.log_var is not None]
        )
    found["reconstruction_nll"] = np.array(
        [one.bounds.reconstruction_nll[0] for one in everyone], np.float32
    )
    if first.log_var is not None:
        found["kl"] = np.array([math.nan if one.kl is None else one.kl for one in everyone])
        found["negative_elbo"] = np.array([bound_of(one) for one in everyone])
    if percentiles is not None:
        found["percentile"] = percentiles
    if classes is not None:
        found["nearest_class"] = np.array(classes, np.str_)
    if verdicts is not None:
        found["familiar"] = np.array([one.word for one in verdicts], np.str_)
        found["p_value"] = np.array([one.p_value for one in verdicts])
    return found


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
