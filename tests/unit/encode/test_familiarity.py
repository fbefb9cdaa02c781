"""Verdicts whose rate of false alarms is what it is said to be."""

import io
import shutil
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import betabinom, ks_2samp, kstest

from benchmarks.familiarity import draw_letters, make_rules
from explorer.encode import familiarity, heldout
from explorer.encode.familiarity import Familiarity, main, open_familiarity
from explorer.encode.heldout import (
    HeldOutScores,
    Scores,
    load_held_out,
    measure_held_out,
    save_held_out,
)
from explorer.encode.verdicts import SCORES, Ranked, combined_p_values, tails
from explorer.errors import CheckpointError, LatentError
from explorer.models.bound import measure_bounds
from explorer.models.checkpoint import HELD_OUT, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.config import NetworkConfig
from explorer.models.library import SHIPPED
from explorer.training.config import TrainConfig
from explorer.training.evaluation import encode_held_out
from explorer.training.loop import Trainer
from explorer.training.run import best_codec
from tests.conftest import make_images

HELD = 1400


@pytest.fixture(scope="module", params=["vae", "ae"])
def asked(request):
    """A trained model, half of its held-out images as references, and the other half apart."""
    images = make_images(200 + HELD)
    images = replace(images, train_index=np.arange(200), held_out_index=np.arange(200, 200 + HELD))
    config = TrainConfig(
        data=images.name,
        kind=request.param,
        network=NetworkConfig(latent_dim=3, hidden_dims=(32,)),
        epochs=6,
        batch_size=16,
    )
    trainer = Trainer(config, images)
    list(trainer.epochs())
    codec = best_codec(trainer)
    encodings, _ = encode_held_out(codec, config.network, images)
    held_out = measure_held_out(codec, encodings, images, most=HELD // 2)
    fresh = np.setdiff1d(np.arange(HELD), held_out.rows)
    return codec, images, Familiarity(held_out, encodings.mean), fresh + 200


@pytest.fixture(scope="module")
def fresh_scores(asked):
    codec, images, known, fresh = asked
    return known.score(codec, images.floats(fresh))


def ranked(held_out):
    return {key: Ranked.of(values) for key, values in held_out.items()}


def test_percentiles_of_images_that_were_not_used_are_uniform(asked, fresh_scores):
    _, _, known, _ = asked
    generator = np.random.default_rng(5)
    for key in SCORES:
        mine, theirs = known.held_out.of(key), fresh_scores.of(key)
        # Two samples of one distribution: what a percentile of one among the other supposes.
        assert ks_2samp(mine, theirs).pvalue > 0.01, key
        # Equal values share a percentile; drawn apart within their share, all are uniform.
        equal = (mine[None] == theirs[:, None]).mean(axis=1)
        middle = known.held_out.percentile(key, theirs) / 100
        spread = middle + equal * generator.uniform(-0.5, 0.5, len(equal))
        statistic = kstest(np.clip(spread, 0, 1), "uniform").statistic
        # As many references as fresh images: half the sample counts. 1.63: the 1 % point.
        assert statistic * np.sqrt(len(spread) / 2) < 1.63, key


def test_false_alarms_are_as_rare_as_stated(asked, fresh_scores):
    _, _, known, fresh = asked
    flags = sum(verdict.flagged for verdict in known.judge_scores(fresh_scores))
    # The references are drawn too: given them, the rate itself is a draw from a beta.
    rank = int(0.05 * (known.n + 1))
    low, high = betabinom.ppf([0.0005, 0.9995], len(fresh), rank, known.n + 1 - rank)
    assert low <= flags <= high


def test_a_rank_among_exchangeable_images_is_exactly_calibrated():
    """The average over many draws, where nothing but the ranking can be at fault."""
    generator = np.random.default_rng(0)
    n, rounds, found = 60, 300, []
    for _ in range(rounds):
        drawn = generator.normal(size=(n + 8, 4)) @ generator.normal(size=(4, 4))
        drawn = np.round(drawn, 1)  # ties, as complexity has them
        held = {key: drawn[:n, place] for place, key in enumerate(SCORES)}
        new = {key: drawn[n:, place] for place, key in enumerate(SCORES)}
        found.append(combined_p_values(new, ranked(held)))
    p_values = np.concatenate(found)
    for alpha in (0.05, 0.2, 0.5):
        rate = (p_values <= alpha).mean()
        # 8 images share references, so they are no 2,400 independent ones: half as many count.
        error = np.sqrt(alpha * (1 - alpha) / (rounds * 4))
        assert alpha - 1 / (n + 1) - 4 * error <= rate <= alpha + 4 * error


def test_the_rank_counts_the_image_into_the_others_shares():
    """Against the definition, one augmented set at a time."""
    generator = np.random.default_rng(2)
    n = 12
    held = {key: generator.integers(0, 6, n).astype(np.float32) for key in SCORES}
    new = {key: generator.integers(0, 6, 5).astype(np.float32) for key in SCORES}
    found = combined_p_values(new, ranked(held))
    for row in range(5):
        oddness = np.zeros(n + 1)
        for key in SCORES:
            values = np.append(held[key], new[key][row])
            up = (values[None] >= values[:, None]).mean(axis=1)
            if key == "complexity":
                low = (values[None] <= values[:, None]).mean(axis=1)
                up = np.minimum(1, 2 * np.minimum(up, low))
            oddness += up**-0.5
        assert found[row] == pytest.approx((oddness >= oddness[-1] - 1e-9).mean())


def test_one_score_far_out_is_enough_and_several_a_little_out_add_up():
    generator = np.random.default_rng(3)
    held = {key: generator.normal(size=1000) for key in SCORES}
    new = {key: np.zeros(3) for key in SCORES}
    new["bound"][:2] = 9.0, 2.0  # of 1,000 none, and some 23, are as far out
    for key in ("bound", "distance", "cycle"):
        new[key][2] = 2.0
    far, a_little, together = combined_p_values(new, ranked(held))
    assert far <= 0.01
    assert a_little > 0.05 > together


def test_held_out_scores_are_sorted_once(asked, monkeypatch):
    codec, images, known, fresh = asked
    some = known.score(codec, images.floats(fresh[:3]))
    held_out = replace(known.held_out)  # nothing kept yet
    again = Familiarity(held_out, known.codes)
    first = again.judge_scores(some)

    def refuse(_values):
        raise AssertionError("sorted anew")

    monkeypatch.setattr(np, "sort", refuse)
    assert again.judge_scores(some) == first
    with pytest.raises(LatentError, match="no score 'rows'"):
        held_out.percentile("rows", np.zeros(1))


def test_shares_count_the_image_itself():
    held = Ranked.of(np.array([1.0, 2.0, 3.0]))
    assert tails(np.array([0.0, 2.0, 9.0]), held, "bound").tolist() == [1.0, 0.75, 0.25]
    assert tails(np.array([0.0, 2.0, 9.0]), held, "complexity").tolist() == [0.5, 1.0, 0.5]


def test_strange_pictures_are_flagged_and_the_score_is_named(asked):
    codec, images, known, fresh = asked
    shape = (1, *images.image_shape)
    noise = np.random.default_rng(0).random(shape, np.float32)
    (verdict,) = known.judge(codec, noise)
    assert verdict.word == "unlike"
    assert verdict.flagged
    assert verdict.p_value <= 0.01
    assert "unlike" in verdict.sentence
    assert verdict.leading.title.lower() in verdict.sentence.lower()
    (own,) = known.judge(codec, 1 - images.floats(fresh[:1]))
    assert own.flagged


def test_a_plain_picture_is_flagged_by_its_simplicity_however_good_its_bound(asked):
    codec, images, known, _ = asked
    plain = np.full((1, *images.image_shape), 0.06, np.float32)
    (verdict,) = known.judge(codec, plain)
    assert verdict.flagged
    scores = {score.key: score for score in verdict.scores}
    assert scores["complexity"].percentile == 0
    assert scores["complexity"].two_sided
    # Nothing but the numbers decides about the warning.
    assert bool(verdict.trap) == (scores["bound"].percentile < 50)


def test_the_warning_of_the_trap_speaks_of_a_good_bound_and_a_simple_picture(asked):
    _, _, known, _ = asked
    held = known.held_out
    best = held.reconstruction_nll.argsort()[:1]
    scores = Scores(
        held.reconstruction_nll[best],
        None if held.kl is None else held.kl[best],
        held.distance[best],
        held.cycle[best],
        np.zeros(1, np.float32),
    )
    (verdict,) = known.judge_scores(scores)
    if held.kl is None:
        assert "because it is simple, not because it is familiar" in verdict.trap
    scores = replace(scores, complexity=np.median(held.complexity)[None].astype(np.float32))
    assert known.judge_scores(scores)[0].trap == ""


def test_a_held_out_image_is_not_its_own_neighbour(asked):
    codec, images, known, _ = asked
    rows = known.held_out.rows[:40]
    scores = known.score(codec, images.floats(rows + 200))
    assert np.allclose(scores.distance, known.held_out.distance[:40], rtol=1e-3)
    assert np.allclose(scores.bound, known.held_out.bound[:40], rtol=1e-4)
    assert np.allclose(scores.cycle, known.held_out.cycle[:40], rtol=1e-2, atol=1e-3)


def test_bounds_that_are_known_are_not_measured_again(asked):
    codec, images, known, fresh = asked
    some = images.floats(fresh[:3])
    bounds = measure_bounds(codec, some)
    assert known.judge(codec, some, bounds) == known.judge(codec, some)


def test_a_verdict_does_not_depend_on_the_images_beside_it(asked):
    codec, images, known, fresh = asked
    some = images.floats(fresh[:4])
    together = known.judge(codec, some)
    for row in range(4):
        (alone,) = known.judge(codec, some[row : row + 1])
        assert alone.word == together[row].word
        assert alone.p_value == pytest.approx(together[row].p_value, abs=2 / known.n)


def test_an_autoencoder_has_no_kl_and_its_bound_is_called_what_it_is(asked):
    codec, images, known, fresh = asked
    (verdict,) = known.judge(codec, images.floats(fresh[:1]))
    title = verdict.scores[0].title
    if codec.kind == "ae":
        assert known.held_out.kl is None
        assert title == "Reconstruction NLL"
        with pytest.raises(LatentError, match="no score 'kl'"):
            known.held_out.of("kl")
    else:
        assert title == "Bound"
        assert np.allclose(
            known.held_out.bound, known.held_out.reconstruction_nll + known.held_out.kl
        )


def test_scores_are_stored_and_read(tmp_path, asked):
    codec, _, known, _ = asked
    encodings = SimpleNamespace(mean=known.codes)
    save_held_out(tmp_path / HELD_OUT, known.held_out)
    found = load_held_out(tmp_path, codec.kind, encodings)
    for field in fields(known.held_out):
        values, read = getattr(known.held_out, field.name), getattr(found, field.name)
        assert (values is None and read is None) or np.array_equal(values, read), field.name
    assert load_held_out(tmp_path / "none", codec.kind, encodings) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": np.arange(100) * 20}, "not some of the 1,400"),
        ({"rows": np.zeros(100, np.int64)}, "not some of the"),
        ({"rows": np.arange(3)}, "rows of the shape"),
        ({"cycle": np.full(100, np.nan, np.float32)}, "cycle that is not finite"),
        ({"cycle": np.zeros(99, np.float32)}, "cycle of the shape"),
        ({"distance": np.zeros(100)}, "type float64"),
    ],
)
def test_scores_of_another_model_are_told(tmp_path, change, said):
    ones = np.ones(100, np.float32)
    good = HeldOutScores(ones, ones, ones, ones, ones, rows=np.arange(100))
    save_held_out(tmp_path / HELD_OUT, replace(good, **change))
    encodings = SimpleNamespace(mean=np.zeros((HELD, 2)))
    with pytest.raises(CheckpointError, match=said) as told:
        load_held_out(tmp_path, "vae", encodings)
    assert "explorer.encode.familiarity" in str(told.value)


def test_scores_of_other_codes_are_told(tmp_path, asked):
    codec, _, known, _ = asked
    save_held_out(tmp_path / HELD_OUT, known.held_out)
    for codes in (known.codes[::-1], 1.05 * known.codes):
        with pytest.raises(CheckpointError, match="another model's codes") as told:
            load_held_out(tmp_path, codec.kind, SimpleNamespace(mean=codes))
        assert "explorer.encode.familiarity" in str(told.value)


def test_the_gallerys_scores_are_of_their_own_models_and_of_no_other_seeds():
    kinds = {"digits-vae-8": "vae", "digits-ae-8": "ae"}
    for start, kind in kinds.items():
        folders = [SHIPPED / f"{start}{seed}" for seed in ("", "-seed1", "-seed2")]
        encodings = [load_encodings(folder, load_config(folder)) for folder in folders]
        for one, folder in enumerate(folders):
            for other, theirs in enumerate(encodings):
                if one == other:
                    assert load_held_out(folder, kind, theirs) is not None
                    continue
                with pytest.raises(CheckpointError, match="another model's codes"):
                    load_held_out(folder, kind, theirs)


def test_scores_measured_in_another_way_are_told(tmp_path, monkeypatch):
    ones = np.ones(100, np.float32)
    save_held_out(tmp_path / HELD_OUT, HeldOutScores(ones, ones, ones, ones, ones, np.arange(100)))
    monkeypatch.setattr(heldout, "DRAWS", 7)
    with pytest.raises(CheckpointError, match="measured in another way"):
        load_held_out(tmp_path, "vae", SimpleNamespace(mean=np.zeros((HELD, 2))))


def test_too_few_held_out_images_are_told(asked):
    codec, images, known, _ = asked
    few = SimpleNamespace(mean=known.codes[:5], index=np.arange(5))
    with pytest.raises(LatentError, match="5 held-out images"):
        measure_held_out(codec, few, images)


@pytest.fixture
def at_hand(monkeypatch, bars):
    monkeypatch.setattr(
        familiarity,
        "images_at_hand",
        lambda data: bars if data.fingerprint == bars.fingerprint else None,
    )


def test_the_command_writes_what_the_app_reads(tmp_path, checkpoints, at_hand, capsys, monkeypatch):
    folder = shutil.copytree(checkpoints / "bars-vae", tmp_path / "bars-vae")
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path))
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    assert open_familiarity(folder, config, encodings) is None
    assert main([str(folder)]) == 0
    assert "24 held-out images scored" in capsys.readouterr().out
    known = open_familiarity(folder, config, encodings)
    assert known.n == 24
    verdicts = known.judge(Codec.from_folder(folder), np.zeros((2, 1, 10, 12), np.float32))
    assert len(verdicts) == 2


def test_the_command_tells_what_is_missing(tmp_path, checkpoints, capsys, monkeypatch):
    monkeypatch.setattr(familiarity, "images_at_hand", lambda _data: None)
    assert main([str(checkpoints / "bars-ae")]) == 2
    assert "not at hand" in capsys.readouterr().err
    assert main(["no-such-checkpoint"]) == 2
    assert "no checkpoint 'no-such-checkpoint'" in capsys.readouterr().err


def test_of_large_pictures_fewer_are_scored(asked, monkeypatch):
    codec, images, known, _ = asked
    encodings = SimpleNamespace(mean=known.codes, index=images.held_out_index)
    monkeypatch.setattr(heldout, "MOST", 40)
    monkeypatch.setattr(heldout, "_ENOUGH", 10)
    for pixels, count in ((1 << 20, 40), (60, 20), (1, 10)):
        monkeypatch.setattr(heldout, "_PIXELS", pixels)
        assert len(measure_held_out(codec, encodings, images)) == count


def test_the_command_without_names_takes_what_has_no_scores(
    tmp_path, checkpoints, at_hand, capsys, monkeypatch
):
    folder = shutil.copytree(checkpoints / "bars-ae", tmp_path / "bars-ae")
    monkeypatch.setattr(familiarity, "checkpoint_folders", lambda: [tmp_path])
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path))
    assert main([]) == 0
    assert "bars-ae: 24 held-out images scored" in capsys.readouterr().out
    assert (folder / HELD_OUT).is_file()
    assert main([]) == 0
    assert "Every checkpoint has held-out scores" in capsys.readouterr().out


def test_a_share_of_held_out_images_is_flagged_by_every_rule_of_the_benchmark(asked):
    _, _, known, _ = asked
    for name, flag in make_rules(known).items():
        # A rank within the references counts the image twice, so ours may flag a few less.
        assert 0.03 <= flag(known.held_out).mean() <= 0.055, name


def test_letters_are_drawn_the_same_and_each_another_way():
    one, two = draw_letters(3, 0), draw_letters(60, 0)
    assert one == two[:3]
    assert len(set(two)) == 60
    assert draw_letters(3, 1) != one
    pages = [np.asarray(Image.open(io.BytesIO(data))) for data in two]
    assert all(page.shape == (256, 256) and page.min() < 60 and page.max() == 255 for page in pages)
    # No stroke is cut off.
    assert all(page[[0, -1]].min() == 255 and page[:, [0, -1]].min() == 255 for page in pages)


def test_a_set_too_small_to_be_scored_is_not_sent_to_a_command_that_refuses_it():
    few = familiarity.explain_no_scores("few", 6)
    assert "few has 6 held-out images; to hold a picture against them takes 20" in few
    assert "python -m" not in few
    assert "python -m explorer.encode.familiarity many" in familiarity.explain_no_scores("many", 20)
