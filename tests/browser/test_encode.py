"""Encode's upper part as a user drives it: pictures brought in, prepared, and opened up."""

import base64
import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from explorer.images.intake import ModelInput, prepare_upload
from explorer.images.preparation import Preparation
from explorer.latent.neighbours import nearest
from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.ui.draw import LARGEST_STROKES
from tests.browser.chromium import launch_options
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    expect_no_overflow,
    pixels_of,
    wait_for_idle,
)
from tests.browser.test_pages import photographed_seven

MODEL = "mnist-vae-16"
FOLDER = SHIPPED / MODEL
PHONE = {"width": 390, "height": 844}

# The component shows the page's picture, and its decoder has answered the last question.
OPENED = """(title) => {
  const root = document.querySelector('.post'), { posterior } = root ?? {};
  return posterior && (!title || posterior.data.title === title)
    && (root.dataset.variational === 'false'
      || (root.dataset.phase === 'live' && posterior.link.quiet));
}"""


def open_encode(page, server, model=MODEL):
    page.goto(f"{server.url}/encode?model={model}")
    page.locator("input[type=file]").wait_for(state="attached", timeout=PATIENCE)
    wait_for_idle(page)


def upload(page, *files):
    page.locator("input[type=file]").set_input_files(
        [
            {"name": name, "mimeType": "application/octet-stream", "buffer": data}
            for name, data in files
        ]
    )


def wait_for_picture(page, title=None):
    """Until the picture of this title is opened up."""
    page.wait_for_function(OPENED, arg=title, timeout=PATIENCE)
    wait_for_idle(page)
    page.wait_for_function(OPENED, arg=title, timeout=PATIENCE)


def way(page, name):
    page.locator(".st-key-encode-way").get_by_text(name, exact=True).click()
    wait_for_idle(page)


def runs(page):
    """How often the script has run for this tab."""
    return int(page.locator(".checkpoint-watch").get_attribute("data-run"))


def posterior(page, expression):
    """A value of the component's own."""
    return page.evaluate(
        f"() => {{ const it = document.querySelector('.post').posterior; return {expression}; }}"
    )


def model_input(page):
    """What the page shows as the model's input, H x W x C."""
    shape = posterior(page, "it.data.line.shape")
    pixels = base64.b64decode(posterior(page, "it.data.pictures.input"))
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def prepared(data, name="", preparation=None, model=MODEL):
    """What the model's input should be, H x W x C."""
    config = load_config(SHIPPED / model).data
    target = ModelInput(config.image_shape, config.background)
    image = prepare_upload(data, name, target, preparation or Preparation()).image
    return np.rint(255 * image.transpose(1, 2, 0)).astype(np.uint8)


def voted_class(pixels, model=MODEL):
    """The class that most of the 12 nearest held-out codes have."""
    codec = Codec.from_folder(SHIPPED / model)
    config = load_config(SHIPPED / model)
    encodings = load_encodings(SHIPPED / model, config)
    mean, _ = codec.encode(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    labels = encodings.labels[nearest(mean, encodings.mean, 12)[1][0]]
    return config.data.classes[np.bincount(labels).argmax()]


def steps(page):
    return page.locator(".steps").get_attribute("data-steps").split("|")


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def digit(points, size=200, ink=(20, 20, 20), ground=(255, 255, 255)):
    image = Image.new("RGB", (size, size), ground)
    ImageDraw.Draw(image).line(points, fill=ink, width=16, joint="curve")
    return image


SEVEN = [(60, 50), (145, 46), (95, 160)]
ONE = [(100, 40), (100, 160)]


def transparent_four():
    """A four in blue on nothing."""
    image = Image.new("RGBA", (240, 240), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.line([(90, 50), (70, 130), (160, 130)], fill=(20, 40, 160, 255), width=18, joint="curve")
    pen.line([(140, 60), (136, 200)], fill=(20, 40, 160, 255), width=18)
    return png(image)


# -- ways in --------------------------------------------------------------------------------------


def draw_with_mouse(page, points, steps=14):
    """One stroke; the button stays down."""
    box = page.locator(".draw-canvas").bounding_box()
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=steps)


def test_a_digit_drawn_with_the_mouse_is_read_while_it_is_drawn_and_becomes_a_picture(
    page, app_server
):
    open_encode(page, app_server)
    way(page, "Draw")
    page.wait_for_selector(".draw[data-phase]", timeout=PATIENCE)
    before = runs(page)
    draw_with_mouse(page, [(0.28, 0.24), (0.72, 0.22), (0.5, 0.56), (0.44, 0.82)])
    # The hand has not let go, and the script has not run.
    expect(page.locator(".draw")).to_have_attribute("data-class", "7", timeout=PATIENCE)
    assert runs(page) == before
    page.mouse.up()
    wait_for_picture(page, "1 · Drawing")
    assert voted_class(model_input(page)) == "7"
    shown = pixels_of(page, ".draw-input")
    assert np.abs(shown[..., :1].astype(int) - model_input(page).astype(int)).max() <= 1

    # The next one may begin before the script has heard of it.
    page.get_by_role("button", name="New", exact=True).click()
    draw_with_mouse(page, [(0.5, 0.2), (0.5, 0.8)])
    page.mouse.up()
    wait_for_picture(page, "2 · Drawing 2")
    assert voted_class(model_input(page)) == "1"
    page.locator(".draw-canvas").press("z")
    expect(page.locator(".tray")).to_have_attribute("data-count", "1", timeout=PATIENCE)


def test_a_long_drawing_is_drawn_further_after_another_page(page, app_server):
    open_encode(page, app_server)
    way(page, "Draw")
    page.wait_for_selector(".draw[data-phase]", timeout=PATIENCE)
    # As much as hours of scribbling, and a stroke on which it is told.
    size = page.evaluate("""() => {
      const { draw } = document.querySelector('.draw');
      const at = (step) => [step % 61 + 20.5 + step / 1e9, (step * 7) % 67 + 30.5 + step / 1e9];
      draw.startStroke(40, 100);
      for (let step = 1; step < 60000; step += 1) draw.stroke.points.push(at(step));
      draw.endStroke();
      return JSON.stringify(draw.strokes).length;
    }""")
    assert size > LARGEST_STROKES
    wait_for_picture(page, "1 · Drawing")
    before = model_input(page)
    way(page, "Upload")
    way(page, "Draw")
    page.wait_for_selector(".draw[data-answers='1']", timeout=PATIENCE)
    draw_with_mouse(page, [(0.05, 0.05), (0.1, 0.1)])
    page.mouse.up()
    page.wait_for_function(
        "(told) => document.querySelector('.post').posterior.data.pictures.input !== told",
        arg=base64.b64encode(before.tobytes()).decode(),
        timeout=PATIENCE,
    )
    wait_for_picture(page, "1 · Drawing")
    expect(page.locator(".tray")).to_have_attribute("data-count", "1")
    # What was there is there still, beside the short stroke.
    assert (model_input(page) > 127).sum() > 0.5 * (before > 127).sum()


def test_a_drawing_is_painted_once_a_frame(page, app_server):
    open_encode(page, app_server)
    way(page, "Draw")
    page.wait_for_selector(".draw[data-phase]", timeout=PATIENCE)
    painted = page.evaluate("""async () => {
      const { draw } = document.querySelector('.draw');
      const frame = () => new Promise(requestAnimationFrame);
      await frame();
      let count = 0;
      const paintStrokes = draw.paintStrokes.bind(draw);
      draw.paintStrokes = (...given) => { count += 1; paintStrokes(...given); };
      draw.startStroke(30, 30);
      for (let at = 0; at < 50; at += 1) draw.extend([[30 + at, 40]]);
      const atOnce = count;
      await frame();
      await frame();
      return [atOnce, count];
    }""")
    # On the screen, and for the encoder.
    assert painted == [0, 2]


def test_a_drawing_made_with_the_keyboard_alone(page, app_server):
    open_encode(page, app_server)
    way(page, "Draw")
    canvas = page.locator(".draw-canvas")
    canvas.focus()
    for key in [*["ArrowUp"] * 9, "Space", *["ArrowDown"] * 18, "Space"]:
        canvas.press(key)
    wait_for_picture(page, "1 · Drawing")
    assert voted_class(model_input(page)) == "1"
    canvas.press("Delete")
    expect(page.locator(".tray")).to_have_attribute("data-count", "0", timeout=PATIENCE)
    canvas.press("z")
    wait_for_picture(page, "1 · Drawing")


@pytest.mark.parametrize(
    ("name", "data", "label", "among"),
    [
        ("seven.jpg", photographed_seven(), "7", ["Turned upright", "Inverted"]),
        ("four.png", transparent_four(), "4", ["Transparency filled", "Cropped and centred"]),
    ],
)
def test_a_photograph_and_a_transparent_picture_reach_the_right_neighbourhood(
    page, app_server, name, data, label, among
):
    open_encode(page, app_server)
    upload(page, (name, data))
    wait_for_picture(page, f"1 · {name}")
    found = steps(page)
    assert found[0] == "As uploaded"
    assert found[-1] == "Model input"
    assert set(among) <= set(found)
    np.testing.assert_array_equal(model_input(page), prepared(data, name))
    assert voted_class(model_input(page)) == label


def test_a_picture_is_pasted_from_the_clipboard(page, app_server):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=app_server.url)
    open_encode(page, app_server)
    data = png(digit(SEVEN))
    page.evaluate(
        """async (text) => {
          const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
          const picture = new Blob([bytes], { type: 'image/png' });
          await navigator.clipboard.write([new ClipboardItem({ 'image/png': picture })]);
        }""",
        base64.b64encode(data).decode(),
    )
    page.keyboard.press("Control+V")
    wait_for_picture(page)
    np.testing.assert_array_equal(model_input(page), prepared(data))
    page.locator(".tray").get_by_role("button", name="Paste").click()
    expect(page.locator(".tray")).to_have_attribute("data-count", "2", timeout=PATIENCE)


def test_an_archive_with_bad_files_gives_the_good_ones_and_tells_of_the_others(page, app_server):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("scans/seven.png", png(digit(SEVEN)))
        archive.writestr("scans/broken.png", png(digit(SEVEN))[:60])
        archive.writestr("scans/one.png", png(digit(ONE)))
        archive.writestr("notes.txt", "no picture")
    open_encode(page, app_server)
    upload(page, ("all.zip", file.getvalue()), ("empty.png", b""))
    wait_for_picture(page, "1 · all.zip › seven.png")
    expect(page.locator(".tray")).to_have_attribute("data-count", "2")
    expect(page.get_by_text("3 files could not be used")).to_be_visible()
    table = page.locator("[data-testid=stTable]").first
    for name in ("broken.png", "notes.txt", "empty.png"):
        expect(table).to_contain_text(name)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("could not be used")).to_have_count(0, timeout=PATIENCE)


def test_pictures_that_went_with_their_server_are_named(page, restartable_server, expected_errors):
    expected_errors += ["WebSocket connection to", "net::ERR_", "WebSocket onerror"]
    open_encode(page, restartable_server)
    tray = page.locator(".tray")
    expect(tray).to_have_attribute("data-lost", "0", timeout=PATIENCE)
    upload(page, ("a.png", png(digit(SEVEN))), ("b.png", png(digit(ONE))))
    wait_for_picture(page, "1 · a.png")
    expect(tray).to_have_attribute("data-count", "2", timeout=PATIENCE)
    page.reload()
    expect(tray).to_have_attribute("data-lost", "2", timeout=PATIENCE)
    expect(tray).to_contain_text("a.png, b.png were in the memory of the session that ended")
    restartable_server.stop()
    restartable_server.start()
    page.reload()
    expect(tray).to_contain_text("in the memory of the server that ended", timeout=PATIENCE)
    upload(page, ("c.png", png(digit(SEVEN))))
    expect(tray).to_have_attribute("data-lost", "0", timeout=PATIENCE)
    expect(tray).to_have_attribute("data-count", "1")


def test_an_archive_may_be_larger_than_a_picture(page, app_server):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("seven.png", png(digit(SEVEN)))
        archive.writestr("huge.bin", np.random.default_rng(0).bytes(22 * 2**20))
    open_encode(page, app_server)
    upload(page, ("large.zip", file.getvalue()))
    wait_for_picture(page, "1 · large.zip › seven.png")
    expect(page.get_by_test_id("stTable").first).to_contain_text("the limit is 20 MiB")


def test_a_photograph_is_taken_by_the_camera(chromium, app_server):
    options = launch_options()
    options["args"] += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = chromium.browser_type.launch(**options)
    try:
        page = browser.new_context(permissions=["camera"]).new_page()
        open_encode(page, app_server)
        way(page, "Camera")
        # Streamlit's button is there before the camera's first picture, and takes none then.
        page.wait_for_function(
            "() => document.querySelector('video')?.readyState >= 3", timeout=PATIENCE
        )
        page.get_by_test_id("stCameraInputButton").click(timeout=PATIENCE)
        wait_for_picture(page, "1 · Photograph.jpg")
        expect(page.locator(".tray")).to_have_attribute("data-count", "1")
    finally:
        browser.close()


def test_removed_pictures_come_back_and_another_is_looked_at_by_the_keyboard(page, app_server):
    open_encode(page, app_server)
    upload(page, *[(f"{name}.png", png(digit(SEVEN))) for name in "abc"])
    wait_for_picture(page, "1 · a.png")
    tray = page.locator(".tray")
    tray.get_by_role("button", name="Look at picture 1").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_for_picture(page, "2 · b.png")
    page.keyboard.press("Delete")
    wait_for_picture(page, "2 · c.png")
    tray.get_by_role("button", name="Bring back b.png").click()
    wait_for_picture(page, "2 · b.png")
    tray.get_by_role("button", name="Remove all").click()
    expect(tray).to_have_attribute("data-count", "0", timeout=PATIENCE)
    expect(page.get_by_text("Bring photographs, scans or drawings")).to_be_visible()
    tray.get_by_role("button", name="Bring back 3 pictures").click()
    expect(tray).to_have_attribute("data-count", "3", timeout=PATIENCE)


def test_two_sessions_never_see_each_others_pictures(new_page, app_server):
    mine, theirs = new_page(), new_page()
    for page in (mine, theirs):
        open_encode(page, app_server)
    upload(mine, ("mine.png", png(digit(SEVEN))))
    wait_for_picture(mine, "1 · mine.png")
    upload(theirs, ("theirs.png", png(digit(ONE))))
    wait_for_picture(theirs, "1 · theirs.png")
    for page, other in ((mine, "theirs.png"), (theirs, "mine.png")):
        way(page, "Draw")
        way(page, "Upload")
        expect(page.locator(".tray")).to_have_attribute("data-count", "1")
        assert other not in page.content()


# -- the preparation ------------------------------------------------------------------------------


def choose(page, group, option):
    buttons = page.get_by_role("group", name=group).get_by_role("button", name=option, exact=True)
    buttons.click()
    expect(buttons).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    wait_for_picture(page)


def test_a_wrong_guess_is_one_click_from_right_and_a_crop_is_dragged_by_hand(page, app_server):
    data = png(digit(SEVEN))
    open_encode(page, app_server)
    upload(page, ("seven.png", data))
    wait_for_picture(page, "1 · seven.png")
    choose(page, "Light and dark", "as it is")
    kept = Preparation(polarity="keep")
    np.testing.assert_array_equal(model_input(page), prepared(data, preparation=kept))
    choose(page, "Framing", "padded")
    kept = Preparation(polarity="keep", framing="pad")
    np.testing.assert_array_equal(model_input(page), prepared(data, preparation=kept))
    page.get_by_role("button", name="Guess all anew").click()
    expect(page.get_by_role("button", name="Guess all anew")).to_have_count(0, timeout=PATIENCE)
    wait_for_picture(page)
    np.testing.assert_array_equal(model_input(page), prepared(data))

    box = page.locator(".steps-step[data-upright=true] img").bounding_box()
    page.mouse.move(box["x"] + 0.05 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.5 * box["height"], steps=6)
    page.mouse.up()
    remove = page.get_by_role("button", name="Remove the crop")
    expect(remove).to_be_visible(timeout=PATIENCE)
    wait_for_picture(page)
    assert "Cropped by hand" in steps(page)
    assert not np.array_equal(model_input(page), prepared(data))
    remove.click()
    expect(remove).to_have_count(0, timeout=PATIENCE)
    wait_for_picture(page)
    np.testing.assert_array_equal(model_input(page), prepared(data))


# -- what the model makes of it -------------------------------------------------------------------


@pytest.fixture
def seven(page, app_server):
    """A seven, opened up."""
    open_encode(page, app_server)
    upload(page, ("seven.png", png(digit(SEVEN))))
    wait_for_picture(page, "1 · seven.png")
    return page


def shown_input(page):
    return pixels_of(page, "[data-show=input] canvas")[..., :3]


def test_the_equation_holds_and_its_terms_light_the_parts_they_come_from(seven):
    page = seven
    numbers = [
        float(text.split()[0].replace("−", "-"))
        for text in page.locator(".post-equation strong").all_inner_texts()
    ]
    assert numbers[0] == pytest.approx(numbers[1] + numbers[2], abs=0.11)
    expect(page.locator(".post-sum")).to_contain_text("±")
    expect(page.locator(".post-bar")).to_contain_text("higher −ELBO than")
    plain = shown_input(page)
    term = page.locator(".post-equation").get_by_role("button", name="Reconstruction term")
    term.hover()
    expect(page.locator(".post")).to_have_attribute("data-lit", "nll")
    lit = shown_input(page).astype(int)
    # Orange where pixels cost: the edges of the stroke, and not the empty corner.
    assert (lit[..., 0] - lit[..., 2]).max() > 100
    assert (lit[0, 0] == 0).all()
    page.locator(".post-equation").get_by_role("button", name="KL term").hover()
    expect(page.locator(".post")).to_have_attribute("data-lit", "kl")
    expect(page.locator(".post-axes-list")).to_have_attribute("data-on", "")
    np.testing.assert_array_equal(shown_input(page), plain)
    page.mouse.move(5, 5)
    expect(page.locator(".post")).to_have_attribute("data-lit", "")
    expect(page.locator(".post-axes-list")).not_to_have_attribute("data-on", "")
    term.focus()
    expect(page.locator(".post")).to_have_attribute("data-lit", "nll")
    page.locator(".post-axis-name").first.focus()
    expect(page.locator(".post")).to_have_attribute("data-lit", re.compile("axis-"))
    assert not np.array_equal(shown_input(page), plain)


def hand_is_decoded(page, folder=FOLDER):
    page.wait_for_function(OPENED, timeout=PATIENCE)
    code = np.array(posterior(page, "Array.from(it.code)"), np.float32)
    assert_decoded(pixels_of(page, "[data-show=hand] canvas"), folder, code)
    return code


def test_a_slider_of_eps_moves_the_picture_without_a_run_of_the_script(seven):
    page = seven
    before = runs(page)
    mean = np.array(posterior(page, "it.data.code.mean"), np.float32)
    deviation = np.array(posterior(page, "it.data.code.deviation"))
    np.testing.assert_allclose(hand_is_decoded(page), mean, atol=1e-5)
    axis = posterior(page, "it.data.code.order[0]")
    slider = page.get_by_role("slider", name=f"ε of z{axis + 1}", exact=True)
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    eps = float(slider.input_value())
    assert eps > 2.5
    code = hand_is_decoded(page)
    wanted = mean.copy()
    wanted[axis] += eps * deviation[axis]
    np.testing.assert_allclose(code, wanted, atol=1e-4)
    slider.press("ArrowLeft")
    assert float(slider.input_value()) == pytest.approx(eps - 0.01)
    page.get_by_role("button", name="Draw 3 of the posterior: take its ε").click()
    drawn = posterior(page, "it.data.pictures.noise[2]")
    np.testing.assert_allclose(hand_is_decoded(page), mean + np.array(drawn) * deviation, atol=1e-4)
    page.get_by_role("button", name="Mean", exact=True).click()
    np.testing.assert_allclose(hand_is_decoded(page), mean, atol=1e-5)
    assert runs(page) == before


def test_the_likelihood_grows_while_one_watches(seven):
    page = seven
    box = page.locator(".post-likelihood")
    box.get_by_role("button", name="Estimate").click()
    expect(box).to_have_attribute("data-samples", "4096", timeout=PATIENCE)
    expect(box).to_have_attribute("data-claimed", "true")
    assert 41 <= float(box.get_attribute("data-effective")) <= 4096
    expect(box).to_contain_text("effective sample size")
    expect(box).to_contain_text("no density of grey images")
    assert box.locator("svg circle").count() == 13
    expect(box).to_contain_text("±")
    expect(box).to_contain_text("K = 4,096")


def test_the_posterior_lies_at_true_scale_on_every_plane(seven):
    page = seven
    plane = page.locator(".post-plane")
    far = pixels_of(page, ".post-plane canvas")
    plane.get_by_role("button", name="Closer").click()
    expect(plane.get_by_role("button", name="All codes")).to_be_visible()
    assert not np.array_equal(pixels_of(page, ".post-plane canvas"), far)
    plane.get_by_role("combobox", name="Plane").select_option("two axes")
    x, y = posterior(page, "it.plane.axes")
    outline = np.array(posterior(page, "it.plane.outlines()[0]"))
    deviation = posterior(page, "it.data.code.deviation")
    half = (outline.max(axis=0) - outline.min(axis=0)) / 2
    np.testing.assert_allclose(half, [deviation[x], deviation[y]], rtol=1e-3)
    plane.get_by_role("combobox", name="Axis upwards").select_option("z6")
    assert posterior(page, "it.plane.axes[1]") == 5


def test_the_page_answers_whether_a_picture_is_like_the_training_data(page, app_server):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8))
    open_encode(page, app_server)
    upload(
        page,
        ("seven.jpg", photographed_seven()),
        ("noise.png", png(noise)),
        ("blank.png", png(Image.new("L", (28, 28)))),
    )
    wait_for_picture(page, "1 · seven.jpg")
    verdict = page.locator(".verdict")
    expect(verdict).to_have_attribute("data-word", "familiar")
    expect(verdict.get_by_role("listitem")).to_have_count(4)
    expect(page.locator(".post-equation")).to_contain_text("percentile")
    for number, name in ((2, "noise.png"), (3, "blank.png")):
        page.get_by_role("button", name=f"Look at picture {number}").click()
        wait_for_picture(page, f"{number} · {name}")
        expect(verdict).to_have_attribute("data-word", "unlike", timeout=PATIENCE)
    # A blank page is cheaper than most digits, and flagged all the same.
    expect(verdict).to_contain_text("simple")
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_text("Nalisnick")).to_be_visible()


def test_an_autoencoder_says_what_it_lacks_and_shows_no_empty_boxes(page, app_server):
    open_encode(page, app_server, "mnist-ae-16")
    upload(page, ("seven.png", png(digit(SEVEN))))
    wait_for_picture(page, "1 · seven.png")
    post = page.locator(".post")
    expect(post).to_contain_text("there is no KL term, no ε to draw")
    for part in (".post-likelihood", ".post-draws", ".post-hand", "[data-show=spread]"):
        expect(page.locator(part)).to_be_hidden()
    expect(post.get_by_role("slider")).to_have_count(0)


def test_colour_pictures_that_are_not_square(page, app_server):
    open_encode(page, app_server, "colour")
    upload(page, ("seven.png", png(digit(SEVEN, ink=(200, 30, 30)))))
    wait_for_picture(page, "1 · seven.png")
    assert model_input(page).shape == (24, 16, 3)
    expect(page.locator(".steps")).to_have_attribute("data-steps", re.compile("Model input"))
    # 96 steps are hardly a training: what is the matter is said, and no verdict.
    expect(page.locator(".model-fault")).to_have_attribute("data-fault", "hardly trained")
    expect(page.locator(".verdict li")).to_have_count(0)


def test_without_a_socket_the_picture_follows_when_the_slider_is_let_go(page, app_server):
    page.route_web_socket("**/explorer-live/decode/**", lambda socket: socket.close())
    open_encode(page, app_server)
    upload(page, ("seven.png", png(digit(SEVEN))))
    page.wait_for_selector(".post[data-picture]", timeout=PATIENCE)
    expect(page.locator(".post-status")).to_contain_text("when you let go", timeout=PATIENCE)
    axis = posterior(page, "it.data.code.order[0]")
    page.locator(f".post-eps[data-axis='{axis}']").press("End")
    expect(page.locator(".post")).to_have_attribute("data-frames", "1", timeout=PATIENCE)
    code = np.array(posterior(page, "Array.from(it.code)"), np.float32)
    assert_decoded(pixels_of(page, "[data-show=hand] canvas"), FOLDER, code)


def test_on_a_phone_nothing_is_wider_than_the_window(page, app_server):
    page.set_viewport_size(PHONE)
    open_encode(page, app_server)
    upload(page, ("seven.jpg", photographed_seven()))
    wait_for_picture(page, "1 · seven.jpg")
    expect_no_overflow(page)
    way(page, "Draw")
    page.wait_for_selector(".draw-canvas", timeout=PATIENCE)
    expect_no_overflow(page)


def test_without_a_secure_connection_the_camera_says_what_it_needs(page, app_server):
    # What a browser does over plain http from another machine.
    page.add_init_script(
        "delete Navigator.prototype.mediaDevices;"
        "Object.defineProperty(window, 'isSecureContext', { get: () => false });"
    )
    open_encode(page, app_server)
    page.locator(".st-key-encode-way").get_by_role("radio", name="Camera").click()
    wait_for_idle(page)
    expect(page.locator(".camera-words")).to_contain_text("over https or on localhost")
    expect(page.locator("[data-testid=stCameraInput]")).to_be_hidden()


def test_with_a_secure_connection_the_camera_is_shown(page, app_server):
    open_encode(page, app_server)
    page.locator(".st-key-encode-way").get_by_role("radio", name="Camera").click()
    wait_for_idle(page)
    expect(page.locator("[data-testid=stCameraInput]")).to_be_visible()
    expect(page.locator(".camera-words")).to_be_hidden()
