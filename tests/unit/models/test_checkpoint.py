import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from explorer.errors import CheckpointError
from explorer.models.checkpoint import (
    CONFIG,
    ENCODINGS,
    NEEDED,
    WEIGHTS,
    check_replaceable,
    load_config,
    load_encodings,
    save_checkpoint,
)
from explorer.models.codec import Codec
from explorer.models.config import CheckpointConfig
from explorer.models.library import (
    Listing,
    differences,
    find_pair,
    find_partner,
    list_checkpoints,
)


@pytest.fixture
def folder(checkpoints, tmp_path):
    return shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars-vae")


def change_config(folder, **changes):
    path = folder / CONFIG
    plain = json.loads(path.read_text())
    for key, value in changes.items():
        *parts, last = key.split("__")
        place = plain
        for part in parts:
            place = place[part]
        place[last] = value
    path.write_text(json.dumps(plain))


def change_weights(folder, change, metadata=None):
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata=metadata or {"format": "1", "kind": "vae"})


def test_a_checkpoint_opens_to_the_same_model(folder, bars):
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    mean, log_var = Codec.from_folder(folder).encode(bars.floats(encodings.index))
    np.testing.assert_allclose(mean, encodings.mean, atol=1e-5)
    np.testing.assert_allclose(log_var, encodings.log_var, atol=1e-5)
    assert config.data.image_shape == (1, 10, 12)
    assert config.metrics["held_out_loss"] > 0


def test_the_folder_holds_what_the_format_says(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {*NEEDED, "history.csv", "CARD.md", "regularity.json"}


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        load_config(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint folder .*nowhere"):
        load_config(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [WEIGHTS, ENCODINGS, CONFIG])
@pytest.mark.parametrize("keep", [0, 5, 0.6])
def test_a_truncated_file_is_refused(folder, name, keep):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if keep < 1 else keep])

    def read_all():
        Codec.from_folder(folder)
        load_encodings(folder, load_config(folder))

    with pytest.raises(CheckpointError, match=name):
        read_all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "format 99; this version reads format 1"),
        ({"kind": "gan"}, "kind is 'gan'"),
        ({"kind": "ae"}, "they are not of one checkpoint"),
        ({"network__latent_dim": "2"}, "'latent_dim' in network is '2'; it must be a int"),
        ({"network__latent_dim": 7}, r"encoder.mean.weight .* \(2, 16\).* \(7, 16\)"),
        ({"network__hidden_dims": [8192] * 9}, "number of hidden_dims is 9"),
        ({"data__image_shape": [1, 4000, 4000]}, "image height is 4000"),
        ({"data__image_shape": [2, 10, 12]}, "2 channels"),
        ({"data__image_shape": [1, 10]}, "image_shape has 2 entries"),
        ({"surprise": 1}, "unknown entries: surprise"),
        ({"metrics": {"held_out_loss": "low"}}, "held_out_loss is 'low'"),
        ({"metrics": {"held_out_loss": 10**400}}, "held_out_loss is 1000"),
        ({"network__sigma": 10**400}, "'sigma' in network is 1000"),
        ({"data__name": "\ud800"}, "'name' in data is .* no text"),
        ({"data__classes": ["\ud800", "b"]}, "'classes' in data is .* no text"),
    ],
)
def test_a_tampered_config_is_refused_in_words(folder, changes, words):
    change_config(folder, **changes)
    with pytest.raises(CheckpointError, match=words):
        Codec.from_folder(folder)


def test_a_missing_entry_is_named(folder):
    plain = json.loads((folder / CONFIG).read_text())
    del plain["network"]["sigma"]
    (folder / CONFIG).write_text(json.dumps(plain))
    with pytest.raises(CheckpointError, match="network has no 'sigma' entry"):
        load_config(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("encoder.mean.bias"), "lacks the tensor encoder.mean.bias"),
        (lambda w: w.update(extra=np.zeros(3, np.float32)), "unexpected tensors: extra"),
        (
            lambda w: w.update({"encoder.mean.bias": np.zeros(5, np.float32)}),
            r"encoder.mean.bias .* \(5,\).* \(2,\)",
        ),
        (
            lambda w: w.update({"encoder.mean.bias": np.full(2, np.nan, np.float32)}),
            "encoder.mean.bias .* not finite",
        ),
        (
            lambda w: w.update({"encoder.mean.bias": np.zeros(2, np.float64)}),
            "F64.*only F32",
        ),
    ],
)
def test_tampered_weights_are_refused_by_tensor(folder, change, words):
    change_weights(folder, change)
    with pytest.raises(CheckpointError, match=words):
        Codec.from_folder(folder)


def test_foreign_weights_are_refused(folder):
    change_weights(folder, lambda w: None, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="format 'pt'"):
        Codec.from_folder(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("log_var"), "lacks the array 'log_var'"),
        (lambda a: a.update(mean=a["mean"][:, :1]), r"shape \(24, 1\)"),
        (lambda a: a.update(labels=a["labels"] + 5), "labels .* from 5 to 6; there are 2 classes"),
        (lambda a: a.update(mean=a["mean"] * np.nan), "mean .* no finite numbers"),
        (lambda a: a.update(index=a["index"][:3]), r"index .* shape \(3,\)"),
        (lambda a: a.update(index=np.array([{}] * 24)), "index' holds Python objects"),
        (lambda a: a.update(extra=np.zeros(2)), "holds 'extra'"),
    ],
)
def test_tampered_encodings_are_refused(folder, change, words):
    with np.load(folder / ENCODINGS) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(folder / ENCODINGS, **arrays)
    with pytest.raises(CheckpointError, match=words):
        load_encodings(folder, load_config(folder))


def test_a_broken_checkpoint_is_listed_with_its_reason_beside_the_others(checkpoints, tmp_path):
    for name in ("bars-vae", "bars-ae"):
        shutil.copytree(checkpoints / name, tmp_path / name)
    (tmp_path / "bars-ae" / CONFIG).write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".half.new-x").mkdir()
    found = {listing.name: listing for listing in list_checkpoints([tmp_path])}
    assert set(found) == {"bars-vae", "bars-ae", "empty"}
    assert found["bars-vae"].error is None
    assert "no JSON" in found["bars-ae"].error
    assert "lacks model.safetensors" in found["empty"].error


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": "text"},
        {"__metadata__": None},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": []}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": ["x", "y"]}},
        {"a": {"dtype": None, "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": 5, "shape": [1], "data_offsets": [0, 4]}},
        {"a": None},
        ["a"],
    ],
)
def test_a_malformed_weights_header_breaks_its_checkpoint_and_no_other(
    checkpoints, tmp_path, header
):
    for name in ("bars-vae", "bars-ae"):
        shutil.copytree(checkpoints / name, tmp_path / name)
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(4)
    (tmp_path / "bars-ae" / WEIGHTS).write_bytes(content)
    found = {listing.name: listing for listing in list_checkpoints([tmp_path])}
    assert found["bars-ae"].error is not None
    assert found["bars-vae"].error is None


def test_a_folder_whose_name_is_no_text_is_listed_all_the_same(checkpoints, tmp_path):
    shutil.copytree(
        checkpoints / "bars-vae", Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    )
    (listing,) = list_checkpoints([tmp_path])
    assert listing.name == "bad?"
    assert listing.error is None


def test_only_a_checkpoint_is_replaced(checkpoints, tmp_path):
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"it holds thesis.txt"):
        check_replaceable(mine)
    with pytest.raises(CheckpointError, match=r"it holds thesis.txt"):
        save_checkpoint(mine, load_config(checkpoints / "bars-vae"), {}, None, {})
    assert (mine / "thesis.txt").read_text() == "years of work"
    check_replaceable(checkpoints / "bars-vae")
    check_replaceable(tmp_path / "nothing")


def test_a_setting_without_use_does_not_make_a_pair_unfair(checkpoints):
    config = load_config(checkpoints / "bars-vae")
    other = replace(config, kind="ae", network=replace(config.network, sigma=0.5, width=8))
    assert differences(config, other) == []
    heavy = replace(config, training={**config.training, "beta": 4.0})
    assert differences(config, heavy) == ["training beta: 1.0 against 4.0"]


def test_a_pair_differs_in_kind_alone(checkpoints, tmp_path):
    listings = list_checkpoints([checkpoints])
    vae = next(one for one in listings if one.name == "bars-vae")
    assert find_pair(vae, listings).name == "bars-ae"
    other = shutil.copytree(checkpoints / "bars-ae", tmp_path / "bars-ae")
    change_config(other, training__epochs_run=1)
    assert find_pair(vae, list_checkpoints([tmp_path])) is None
    assert differences(vae.config, load_config(other)) == ["training epochs_run: 2 against 1"]


def test_codes_and_images_of_the_wrong_shape_are_refused(checkpoints):
    codec = Codec.from_folder(checkpoints / "bars-vae")
    with pytest.raises(CheckpointError, match=r"\(1, 3\) do not fit a model of 2 latents"):
        codec.decode(np.zeros((1, 3), np.float32))
    with pytest.raises(CheckpointError, match=r"\(1, 8, 8\) do not fit"):
        codec.encode(np.zeros((1, 1, 8, 8), np.float32))


def test_decoded_pixels_are_the_mean_image_rounded(checkpoints):
    codec = Codec.from_folder(checkpoints / "bars-vae")
    codes = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    pixels, images = codec.decode_pixels(codes), codec.decode(codes)
    assert pixels.shape == (3, 10, 12, 1)
    assert np.abs(pixels.transpose(0, 3, 1, 2) / 255 - images).max() <= 0.5 / 255 + 1e-6


def listed(config, name, kind, **training):
    changed = {**vars(config), "name": name, "kind": kind}
    changed["training"] = {**config.training, **training}
    return Listing(name, Path(name), CheckpointConfig(**changed), None, ())


def test_the_pair_of_an_autoencoder_is_the_plain_vae_among_several(checkpoints):
    config = load_config(checkpoints / "bars-vae")
    auto, info = listed(config, "a-ae", "ae"), listed(config, "b-infovae", "infovae")
    heavy, plain = listed(config, "c-vae-beta4", "vae", beta=4.0), listed(config, "d-vae", "vae")
    everyone = [auto, info, heavy, plain]
    assert find_pair(auto, everyone).name == "d-vae"
    assert find_pair(plain, everyone).name == "a-ae"
    assert find_pair(info, everyone).name == "a-ae"
    assert find_pair(heavy, everyone).name == "a-ae"
    assert find_pair(auto, [auto, info]).name == "b-infovae"


def test_what_an_autoencoder_has_no_use_for_makes_no_pair_unfair(checkpoints):
    config = load_config(checkpoints / "bars-vae")
    shaped = listed(config, "vae", "vae", beta=4.0, kl_warmup=10, free_bits=0.1).config
    auto = listed(config, "ae", "ae").config
    assert differences(shaped, auto) == []
    assert len(differences(shaped, listed(config, "plain", "vae").config)) == 3
    damaged = listed(config, "ae", "ae", corrupt="mask").config
    assert differences(shaped, damaged) == ["training corrupt: none against mask"]


def test_the_first_to_compare_with_is_the_pair_else_a_model_of_the_same_images(checkpoints):
    vae, auto = (
        next(one for one in list_checkpoints([checkpoints]) if one.name == name)
        for name in ("bars-vae", "bars-ae")
    )

    def renamed(listing, name, data=None, **training):
        config = replace(listing.config, training={**listing.config.training, **training})
        if data is not None:
            config = replace(config, data=replace(config.data, **data))
        return replace(listing, name=name, config=config)

    longer = renamed(auto, "a-longer", epochs=9, epochs_run=9)
    reseeded = renamed(vae, "b-seed", seed=4)
    stranger = renamed(auto, "a-stranger", data={"fingerprint": "blake2b:" + "0" * 32})
    wide = renamed(auto, "a-wide", data={"image_shape": (1, 12, 10)})
    assert find_partner(vae, [vae, stranger, longer, reseeded, auto]) is auto
    assert find_partner(vae, [vae, stranger, longer, reseeded]) is reseeded
    assert find_partner(vae, [vae, stranger, wide]) is None
