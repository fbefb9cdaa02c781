"""The lower part of Encode as a user drives it, section by section."""

import csv
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.registry import load_images
from explorer.latent.corners import arc_weights, blend, corner_weights
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    expect_no_overflow,
    latents,
    pixels_of,
    wait_for_idle,
    wait_for_lab,
    wait_for_page,
)

MODEL = "digits-vae-8"  # its images come with scikit-learn
FOLDER = SHIPPED / MODEL
SECTIONS = (
    "Around it", "All pictures", "Between pictures", "Arithmetic", "Directions", "Repair",
)  # fmt: skip

# The mixture is decoded, and its picture is the answer to the last code asked for.
MIXED = """() => {
  const { mixing } = document.querySelector('.mixing') ?? {};
  return mixing?.root.dataset.phase === 'live' && mixing.frames > 0 && mixing.link.quiet
    && !mixing.playing && !mixing.asked && mixing.root.dataset.pictures;
}"""


def held_out_files(count):
    """Held-out digits as a user would scan them: larger, as PNG."""
    images = load_images("digits")
    files = []
    for number in range(count):
        pixels = images.images[images.held_out_index[number]][0]
        file = io.BytesIO()
        Image.fromarray(pixels).resize((96, 96), Image.Resampling.NEAREST).save(file, "PNG")
        files.append((f"digit {number}.png", file.getvalue()))
    return files


def decoded_file(name="mnist-vae-16", row=0):
    """A handwritten digit as a model decodes a held-out code: MNIST itself is not at hand."""
    folder = SHIPPED / name
    code = load_encodings(folder, load_config(folder)).mean[row]
    pixels = Codec.from_folder(folder).decode_pixels(code[None])[0, ..., 0]
    file = io.BytesIO()
    Image.fromarray(pixels).resize((112, 112), Image.Resampling.NEAREST).save(file, "PNG")
    return ("digit.png", file.getvalue())


def codes_of(files, name=MODEL):
    """The codes (N, D) that the page should find, and the model's inputs."""
    data = load_config(SHIPPED / name).data
    target = ModelInput(data.image_shape, data.background)
    images = np.stack([prepare_upload(content, title, target).image for title, content in files])
    return Codec.from_folder(SHIPPED / name).encode(images)[0], images


def open_encode(page, url, files, model=MODEL):
    page.goto(f"{url}/encode?model={model}")
    page.locator("input[type=file]").first.wait_for(state="attached", timeout=PATIENCE)
    wait_for_idle(page)
    page.locator("input[type=file]").first.set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )
    page.wait_for_selector(".st-key-encode-section", timeout=PATIENCE)
    wait_for_page(page)


def open_section(page, name):
    page.locator(".st-key-encode-section").get_by_text(name, exact=True).click()
    wait_for_idle(page)
    wait_for_page(page)


def wait_for_mixture(page):
    page.wait_for_function(MIXED, timeout=PATIENCE)


def mixture(page):
    """The code that is decoded, (D,)."""
    wait_for_mixture(page)
    found = page.evaluate("() => Array.from(document.querySelector('.mixing').mixing.code())")
    return np.array(found, np.float32)


def assert_mixture_is_decoded(page, folder=FOLDER):
    assert_decoded(pixels_of(page, ".mixing-picture"), folder, mixture(page))


def download(page, button, tmp_path):
    with page.expect_download(timeout=PATIENCE) as found:
        page.get_by_role("button", name=button, exact=True).click()
    file = tmp_path / found.value.suggested_filename
    found.value.save_as(file)
    return file.read_bytes()


def pick_option(page, key, title):
    box = page.locator(f".st-key-{key}").get_by_role("combobox")
    if box.input_value() == title:
        return
    # In the midst of the window: at its edge the list of options may open out of sight.
    box.evaluate("(element) => element.scrollIntoView({ block: 'center' })")
    box.click()
    page.get_by_role("option", name=title, exact=True).click()
    wait_for_idle(page)
    wait_for_page(page)


@pytest.fixture
def files():
    return held_out_files(3)


@pytest.fixture
def encoded(page, app_server, files):
    """Three pictures, the first of them looked at."""
    open_encode(page, app_server.url, files)
    return page


# -- around --


def test_all_pictures_are_marked_on_the_map_and_the_nearest_stand_beside_it(encoded):
    marks = encoded.locator(".st-key-encode-map .annotation-text")
    expect(marks).to_have_count(3, timeout=PATIENCE)
    assert sorted(marks.all_text_contents()) == ["1", "2", "3"]
    expect(encoded.get_by_text("The places are approximate")).to_be_visible()
    nearest = encoded.locator(".st-key-encode-around .strip figure")
    expect(nearest).to_have_count(12)
    distances = [float(text.split(" ·")[0]) for text in nearest.all_inner_texts()]
    assert distances == sorted(distances)
    votes = encoded.locator(".st-key-encode-around .bars span").all_inner_texts()
    assert sum(int(text.split(" of ")[0]) for text in votes if text.endswith(" of 12")) == 12
    assert encoded.evaluate(
        "() => [...document.querySelectorAll('.st-key-encode-around .strip img')]"
        ".every((one) => one.naturalWidth)"
    )


def test_the_nearest_training_pictures_are_other_ones(encoded):
    before = encoded.locator(".st-key-encode-around .strip figcaption").all_inner_texts()
    encoded.get_by_text("Training pictures", exact=True).click()
    expect(encoded.get_by_text("nearest training pictures")).to_be_visible(timeout=PATIENCE)
    wait_for_page(encoded)
    after = encoded.locator(".st-key-encode-around .strip figcaption").all_inner_texts()
    assert len(after) == 12
    assert after != before


def test_where_the_images_are_not_at_hand_reconstructions_stand_in_and_say_so(page, app_server):
    files = held_out_files(1)
    open_encode(page, app_server.url, files, model="mnist-vae-2")
    expect(page.get_by_text("these are the model's reconstructions")).to_be_visible()
    expect(page.get_by_text("The places are exact")).to_be_visible()
    page.get_by_text("Training pictures", exact=True).click()
    expect(page.get_by_text("are not at hand. Train on them")).to_be_visible(timeout=PATIENCE)


# -- all pictures --


def test_codes_are_taken_away_as_csv_npz_and_png(encoded, files, tmp_path):
    codes, images = codes_of(files)
    open_section(encoded, "All pictures")
    expect(encoded.locator("[data-testid=stDataFrame] canvas").first).to_be_visible()
    table = download(encoded, "Codes as CSV", tmp_path).decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["file"] for row in rows] == [name for name, _ in files]
    written = [[float(row[f"mean_{axis}"]) for axis in range(8)] for row in rows]
    np.testing.assert_allclose(written, codes, atol=1e-5)
    assert all(0 <= float(row["bound_percentile"]) <= 100 for row in rows)
    assert {row["familiarity"] for row in rows} <= {"familiar", "unusual", "unlike"}
    with np.load(io.BytesIO(download(encoded, "Codes as NPZ", tmp_path))) as stored:
        assert stored["files"].tolist() == [name for name, _ in files]
        np.testing.assert_allclose(stored["mean"], codes, atol=1e-5)
        assert stored["negative_elbo"].shape == (3,)
        np.testing.assert_allclose(
            stored["negative_elbo"], stored["reconstruction_nll"] + stored["kl"], rtol=1e-5
        )
    sheet = np.asarray(Image.open(io.BytesIO(download(encoded, "Pictures as PNG", tmp_path))))
    scale = (sheet.shape[1] - 2 * 4) // (3 * 8)
    assert sheet.shape == (2 * 8 * scale + 4, 3 * 8 * scale + 2 * 4)
    first = sheet[: 8 * scale : scale, : 8 * scale : scale] / 255
    np.testing.assert_allclose(first, images[0, 0], atol=0.01)


def test_a_row_that_is_picked_is_looked_at(encoded):
    open_section(encoded, "All pictures")
    frame = encoded.locator("[data-testid=stDataFrame]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    # Below the heading, rows of 56 pixels: the box of the second.
    encoded.mouse.click(box["x"] + 18, box["y"] + 36 + 56 + 28)
    expect(encoded.get_by_text("2 · digit 1.png").first).to_be_visible(timeout=PATIENCE)


# -- between --


def test_a_path_is_decoded_live_while_its_slider_is_dragged(encoded, files):
    codes, _ = codes_of(files)
    open_section(encoded, "Between pictures")
    wait_for_mixture(encoded)
    slider = encoded.locator(".mixing-range")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    frames = encoded.evaluate("() => document.querySelector('.mixing').mixing.frames")
    encoded.mouse.move(box["x"] + box["width"] / 2, y)
    encoded.mouse.down()
    encoded.mouse.move(box["x"] + box["width"] * 0.7, y, steps=10)
    encoded.mouse.move(box["x"] + 1, y, steps=10)
    encoded.mouse.up()
    np.testing.assert_allclose(mixture(encoded), codes[0], atol=1e-4)
    assert_mixture_is_decoded(encoded)
    assert encoded.evaluate("() => document.querySelector('.mixing').mixing.frames") > frames + 3
    for _ in range(3):
        slider.press("ArrowRight")
    expected = blend(codes[:2], [0.97, 0.03])
    np.testing.assert_allclose(mixture(encoded), expected, atol=1e-4)
    assert_mixture_is_decoded(encoded)
    expect(slider).to_have_attribute(
        "aria-valuetext", "97 % of 1 · digit 0.png + 3 % of 2 · digit 1.png"
    )


def test_the_path_plays_and_stops(encoded):
    open_section(encoded, "Between pictures")
    wait_for_mixture(encoded)
    before = encoded.locator(".mixing-range").input_value()
    play = encoded.get_by_role("button", name="Play", exact=True)
    play.click()
    encoded.wait_for_function(
        "(before) => document.querySelector('.mixing-range').value !== before",
        arg=before,
        timeout=PATIENCE,
    )
    encoded.get_by_role("button", name="Stop", exact=True).click()
    wait_for_mixture(encoded)
    assert_mixture_is_decoded(encoded)


@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_the_plane_is_driven_by_mouse_and_keys(encoded, files, how):
    codes, _ = codes_of(files)
    open_section(encoded, "Between pictures")
    encoded.locator(".st-key-encode-between-mode").get_by_text("Plane").click()
    encoded.locator(".st-key-encode-between-how").get_by_text(how, exact=True).click()
    encoded.wait_for_function(
        "(arc) => { const { mixing } = document.querySelector('.mixing');"
        " return mixing.data.mode === 'plane' && mixing.data.arc === arc; }",
        arg=how == "slerp",
        timeout=PATIENCE,
    )
    wait_for_mixture(encoded)

    def expected():
        spot = encoded.evaluate("() => document.querySelector('.mixing').mixing.spot")
        weights = corner_weights(3, [spot])
        return blend(codes, arc_weights(codes, weights) if how == "slerp" else weights)[0], spot

    area = encoded.locator(".mixing-area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    encoded.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    encoded.mouse.down()
    encoded.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.3, steps=6)
    encoded.mouse.up()
    code, spot = expected()
    np.testing.assert_allclose(spot, [0.45, 0.7], atol=0.02)
    np.testing.assert_allclose(mixture(encoded), code, atol=1e-4)
    assert_mixture_is_decoded(encoded)
    encoded.locator(".mixing-pad").press("ArrowDown")
    code, moved = expected()
    assert moved[1] == pytest.approx(spot[1] - 0.02)
    np.testing.assert_allclose(mixture(encoded), code, atol=1e-4)
    assert_mixture_is_decoded(encoded)


def test_a_mixture_goes_to_the_sliders(encoded):
    open_section(encoded, "Between pictures")
    code = mixture(encoded)
    encoded.locator(".mixing").get_by_role("button", name="Send to the sliders").click()
    wait_for_lab(encoded, MODEL)
    np.testing.assert_allclose(latents(encoded), code, atol=1e-4)


def test_the_path_is_taken_away_as_gif_and_png(encoded, tmp_path):
    open_section(encoded, "Between pictures")
    wait_for_mixture(encoded)
    animation = Image.open(io.BytesIO(download(encoded, "Path as GIF", tmp_path)))
    assert animation.n_frames > 40  # 49 codes there and back, but for frames that look alike
    assert animation.info["loop"] == 0
    sheet = Image.open(io.BytesIO(download(encoded, "Path as PNG", tmp_path)))
    assert sheet.width > 4 * sheet.height  # two legs of nine
    encoded.locator(".st-key-encode-between-mode").get_by_text("Plane").click()
    plane = Image.open(io.BytesIO(download(encoded, "Plane as PNG", tmp_path)))
    assert plane.width == plane.height


def test_the_strip_is_decoded_once_and_the_mixture_once_a_frame(page, app_server):
    asked = []
    page.on("request", lambda request: asked.append(request.url.split("?")[0]))
    open_encode(page, app_server.url, held_out_files(3))
    open_section(page, "Between pictures")
    wait_for_mixture(page)
    wait_for_idle(page)
    assert sum("/pictures/" in url for url in asked) == 1
    sent, said = page.evaluate("""async () => {
      const { mixing } = document.querySelector('.mixing');
      const frame = () => new Promise(requestAnimationFrame);
      const spoken = document.querySelector('.mixing-said').textContent;
      let count = 0;
      const decode = mixing.link.decode.bind(mixing.link);
      mixing.link.decode = (code) => { count += 1; decode(code); };
      for (let at = 0; at < 50; at += 1) { mixing.slide(at / 50); mixing.send(); }
      const atOnce = count;
      await frame();
      await frame();
      return [[atOnce, count], document.querySelector('.mixing-said').textContent === spoken];
    }""")
    assert sent == [0, 1]
    assert said  # nothing is read aloud before it rests
    words = page.locator(".mixing-words").inner_text()
    expect(page.locator(".mixing-said")).to_have_text(words)
    # Another model's answers are not this one's.
    expect(page.locator(".mixing-facts")).to_have_text(
        re.compile(
            r"^(Density: .*percentile of the encoded images|Sparse: farther from its nearest .*)\. "
            r"Nearest image: \d, distance [\d.e+-]+\.$"
        ),
        timeout=PATIENCE,
    )
    facts = page.evaluate("""() => {
      const { mixing } = document.querySelector('.mixing');
      mixing.askTruth();
      mixing.update({ ...mixing.data, tag: mixing.data.tag + 1 }, mixing.setTriggerValue);
      const words = document.querySelector('.mixing-facts').textContent;
      return [mixing.timer, mixing.link.slots.truth.wanted, words];
    }""")
    assert facts == [None, None, ""]


def test_without_a_live_connection_the_mixture_says_so(page, app_server):
    page.route_web_socket("**/explorer-live/**", lambda socket: socket.close())
    open_encode(page, app_server.url, held_out_files(2))
    open_section(page, "Between pictures")
    note = page.locator(".mixing-note")
    expect(note).to_contain_text("No live connection", timeout=PATIENCE)


# -- arithmetic --


def test_codes_are_added_up_and_sent_to_the_sliders(encoded, files):
    codes, _ = codes_of(files)
    encodings = load_encodings(FOLDER, load_config(FOLDER))
    fours = encodings.mean[encodings.labels == 4].mean(axis=0)
    open_section(encoded, "Arithmetic")
    pick_option(encoded, "encode-sum-a", "2 · digit 1.png")
    pick_option(encoded, "encode-sum-b", "3 · digit 2.png")
    pick_option(encoded, "encode-sum-c", "mean of 4")
    expect(encoded.locator(".st-key-encode-sum-card img")).to_have_count(1)
    expect(
        encoded.get_by_text(re.compile("^(Density of the result|Sparse: the result)"))
    ).to_be_visible()
    encoded.locator(".st-key-encode-sum-send").get_by_role("button").click()
    wait_for_lab(encoded, MODEL)
    np.testing.assert_allclose(latents(encoded), codes[1] - codes[2] + fours, atol=1e-3)


def test_the_choices_are_kept_while_another_section_is_looked_at(encoded):
    open_section(encoded, "Arithmetic")
    pick_option(encoded, "encode-sum-a", "3 · digit 2.png")
    card = encoded.locator(".st-key-encode-sum-a-card")
    expect(card.get_by_alt_text("3 · digit 2.png")).to_be_visible(timeout=PATIENCE)
    open_section(encoded, "Around it")
    open_section(encoded, "Arithmetic")
    box = encoded.locator(".st-key-encode-sum-a").get_by_role("combobox")
    expect(box).to_have_value("3 · digit 2.png")


# -- directions --


def assert_line(page, code, forth):
    """The slider of a direction begins at the picture, and each end leads away from it."""
    np.testing.assert_allclose(mixture(page), code, atol=1e-4)
    slider = page.locator(".mixing-range")
    expect(slider).to_have_attribute("aria-label", f"How far {forth}")
    slider.press("End")
    far = mixture(page) - code
    assert_mixture_is_decoded(page)
    slider.press("Home")
    np.testing.assert_allclose(mixture(page) - code, -far, atol=1e-3)
    page.get_by_role("button", name="Back to the picture").click()
    np.testing.assert_allclose(mixture(page), code, atol=1e-4)
    return far


def test_a_direction_is_measured_and_then_applied_to_the_picture_live(encoded, files):
    codes, _ = codes_of(files)
    encodings = load_encodings(FOLDER, load_config(FOLDER))
    open_section(encoded, "Directions")
    encoded.locator(".st-key-encode-direction-effects .main-svg").first.wait_for(timeout=PATIENCE)
    encoded.locator(f".st-key-encode-direction-source-{MODEL}").get_by_text("Classes").click()
    pick_option(encoded, f"encode-direction-to-{MODEL}", "7")
    pick_option(encoded, f"encode-direction-from-{MODEL}", "1")
    note = encoded.locator(".mixing-note")
    expect(note).to_contain_text("from the mean of class 1 to that of class 7", timeout=PATIENCE)
    # Which of the two is the model's affair.
    said = encoded.get_by_text(re.compile("^It (moves|does not move) class 7"))
    expect(said).to_be_visible()
    wait_for_page(encoded)
    effects = encoded.locator(".st-key-encode-direction-effects")
    expect(effects.get_by_text("class 7", exact=True)).to_be_visible()
    far = assert_line(encoded, codes[0], "towards class 7")
    rows = encodings.labels == 7, encodings.labels == 1
    whole = encodings.mean[rows[0]].mean(axis=0) - encodings.mean[rows[1]].mean(axis=0)
    # Learned from one half of the held-out codes; all of them say nearly the same.
    assert far @ whole / np.linalg.norm(far) / np.linalg.norm(whole) > 0.9


def test_a_direction_of_a_factor(page, app_server):
    # Pictures of this model are at hand, and what they were made from is known.
    open_encode(page, app_server.url, held_out_files(1), model="sprites")
    open_section(page, "Directions")
    page.locator(".st-key-encode-direction-source-sprites").get_by_text("Factors").click()
    pick_option(page, "encode-direction-factor-sprites", "more scale")
    note = page.locator(".mixing-note")
    expect(note).to_contain_text("one standard deviation of scale", timeout=PATIENCE)
    expect(page.get_by_text(re.compile("^It (moves|does not move) scale"))).to_be_visible()
    pick_option(page, "encode-direction-factor-sprites", "shape: heart")
    expect(note).to_contain_text("to that of this choice", timeout=PATIENCE)
    expect(page.get_by_text(re.compile("^It (moves|does not move) shape: heart"))).to_be_visible()


def test_a_direction_between_two_groups_of_own_pictures(encoded, files):
    codes, _ = codes_of(files)
    open_section(encoded, "Directions")
    encoded.locator(f".st-key-encode-direction-source-{MODEL}").get_by_text("Two groups").click()
    expect(encoded.get_by_text("random directions").first).to_be_visible(timeout=PATIENCE)
    wait_for_page(encoded)
    far = assert_line(encoded, codes[0], "towards the second group")
    np.testing.assert_allclose(far, 2 * (codes[0] - codes[1]), atol=1e-3)


# -- repair --


def strip_texts(page):
    return page.locator(".strip.large figcaption").all_inner_texts()


def decibels(text):
    return float(text.split("PSNR ")[1].split(" dB")[0])


def test_what_is_painted_over_is_filled_in(page, app_server):
    open_encode(page, app_server.url, [decoded_file()], model="mnist-vae-16")
    open_section(page, "Repair")
    pick_option(page, "encode-repair-which", "Inpainting · mnist-inpaint-32")
    mask = page.locator(".mask")
    expect(mask).to_have_attribute("data-hidden", str(14 * 14))
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(mask).to_have_attribute("data-hidden", "0")
    expect(page.locator(".strip.large figure")).to_have_count(2, timeout=PATIENCE)
    told = page.evaluate("""async () => {
      const { painter } = document.querySelector('.mask');
      const frame = () => new Promise(requestAnimationFrame);
      const note = document.querySelector('.mask-note'), before = note.textContent;
      let count = 0;
      const draw = painter.draw.bind(painter);
      painter.draw = () => { count += 1; draw(); };
      for (let at = 0; at < 50; at += 1) painter.stroke([4, 4], [8, 8]);
      const atOnce = count;
      await frame();
      await frame();
      const quiet = note.textContent === before;
      painter.clear();
      return [atOnce, count, quiet];
    }""")
    assert told == [0, 1, True]
    canvas = page.locator(".mask-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5, steps=8)
    page.mouse.up()
    expect(page.locator(".strip.large figure")).to_have_count(4, timeout=PATIENCE)
    wait_for_page(page)
    painted = int(mask.get_attribute("data-hidden"))
    assert 40 < painted < 80  # a stroke of 4 by 12 pixels, with round ends
    _, damaged, repaired, _ = strip_texts(page)
    assert decibels(repaired) > decibels(damaged)
    canvas.press("ArrowDown")
    for _ in range(3):
        canvas.press("ArrowDown")
    canvas.press("Space")
    page.wait_for_function(
        "(before) => Number(document.querySelector('.mask').dataset.hidden) > before",
        arg=painted,
        timeout=PATIENCE,
    )
    shown = page.locator(".strip.large figcaption").nth(1)
    expect(shown).not_to_contain_text(damaged.splitlines()[1], timeout=PATIENCE)
    # It is kept while another section is looked at.
    now = mask.get_attribute("data-hidden")
    open_section(page, "Around it")
    open_section(page, "Repair")
    expect(mask).to_have_attribute("data-hidden", now)


@pytest.mark.parametrize(
    "which", ["Denoising · mnist-denoise-32", "Super-resolution · mnist-superres-32"]
)
def test_noise_and_coarse_pixels_are_undone(page, app_server, which):
    open_encode(page, app_server.url, [decoded_file()], model="mnist-vae-16")
    open_section(page, "Repair")
    pick_option(page, "encode-repair-which", which)
    expect(page.locator(".strip.large figure")).to_have_count(4, timeout=PATIENCE)
    original, damaged, repaired, _ = strip_texts(page)
    assert original.startswith("Original")
    assert decibels(repaired) > decibels(damaged) + 2
    page.get_by_text("The picture is damaged already").click()
    expect(page.locator(".strip.large figure")).to_have_count(3, timeout=PATIENCE)
    assert "PSNR" not in " ".join(strip_texts(page))


def test_without_a_repairer_the_page_says_how_to_train_one(encoded):
    open_section(encoded, "Repair")
    expect(encoded.get_by_text("No checkpoint has learned to repair")).to_be_visible()
    expect(encoded.locator("[data-testid=stCode]")).to_have_count(3)
    assert "--data digits" in encoded.locator("[data-testid=stCode]").first.inner_text()


# -- all of it --


def test_a_phone_shows_every_section_without_scrolling_sideways(encoded):
    encoded.set_viewport_size({"width": 390, "height": 844})
    for section in SECTIONS:
        open_section(encoded, section)
        expect_no_overflow(encoded)
