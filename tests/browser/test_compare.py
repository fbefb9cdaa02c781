"""Compare as a user drives it: one cursor for all models, rows that open, planes, files to keep."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    expect_no_overflow,
    pixels_of,
    wait_for_idle,
    wait_for_page,
)

PAIR = ("digits-vae-8", "digits-ae-8")

# Every model has answered the last code that was asked of it.
ANSWERED = """() => {
  const root = document.querySelector('.cursor');
  const models = root?.cursor?.contestants ?? [];
  return models.length > 1 && models.every((one) =>
    one.element.dataset.phase === 'live' && one.frames > 0 && one.link.quiet);
}"""


@pytest.fixture
def compared(page, app_server):
    """The page with a pair on it, whose images come with scikit-learn."""
    page.goto(f"{app_server.url}/compare?model={PAIR[0]}")
    wait_for_cursor(page)
    wait_for_page(page)
    return page


@pytest.fixture
def standard(compared):
    """The page with the prior N(0, I), on which the same noise is the same z in every model."""
    compared.get_by_text("Prior N(0, I)", exact=True).click()
    wait_for_idle(compared)
    expect(compared.locator(".cursor-note")).to_contain_text("N(0, I) in every model")
    return compared


def wait_for_cursor(page):
    page.wait_for_function(ANSWERED, timeout=PATIENCE)


def codes(page):
    """What each model was asked to decode last, by its name."""
    found = page.evaluate(
        """() => Object.fromEntries(document.querySelector('.cursor').cursor.contestants.map(
             (one) => [one.model.name, Array.from(one.latest)]))"""
    )
    return {name: np.array(code, np.float32) for name, code in found.items()}


def pictures(page):
    return {name: pixels_of(page, f'.cursor-model[data-model="{name}"] canvas') for name in PAIR}


def move_on_pad(page, across, up):
    box = page.locator(".cursor-pad").bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])
    wait_for_cursor(page)


def look_closer(page, section):
    page.locator(".st-key-compare-closer").get_by_text(section, exact=True).click()
    wait_for_idle(page)
    wait_for_page(page)


def open_row(page, row):
    page.locator(f'.standing tr[data-row="{row}"] button').click()
    page.wait_for_selector(f".st-key-evidence-{row}", timeout=PATIENCE)
    wait_for_page(page)


def test_one_cursor_moves_the_pictures_of_all_models(standard):
    seen = []
    for across, up in ((0.3, 0.3), (0.7, 0.35), (0.5, 0.8)):
        move_on_pad(standard, across, up)
        found = codes(standard)
        assert np.array_equal(found[PAIR[0]], found[PAIR[1]])
        shown = pictures(standard)
        for name in PAIR:
            assert_decoded(shown[name], SHIPPED / name, found[name])
        seen.append(shown)
    for name in PAIR:
        assert not np.array_equal(seen[0][name], seen[1][name])
        assert not np.array_equal(seen[1][name], seen[2][name])


def test_a_click_holds_the_cursor_and_the_keys_move_it(standard):
    move_on_pad(standard, 0.4, 0.6)
    standard.mouse.down()
    standard.mouse.up()
    held = codes(standard)[PAIR[0]]
    move_on_pad(standard, 0.8, 0.2)
    assert np.array_equal(codes(standard)[PAIR[0]], held)
    standard.locator(".cursor-pad").press("ArrowRight")
    wait_for_cursor(standard)
    moved = codes(standard)[PAIR[0]]
    assert moved[0] > held[0]
    assert np.array_equal(moved[1:], held[1:])


def test_below_each_picture_stands_whether_its_code_lies_in_a_hole(standard):
    move_on_pad(standard, 0.02, 0.02)
    facts = standard.locator(f'.cursor-model[data-model="{PAIR[1]}"] .cursor-facts')
    expect(facts).to_contain_text("in a prior hole", timeout=PATIENCE)
    expect(facts).to_contain_text("nearest image")


def test_on_the_other_scale_nothing_is_told_of_the_former_code(compared):
    move_on_pad(compared, 0.7, 0.7)
    facts = compared.locator(f'.cursor-model[data-model="{PAIR[1]}"] .cursor-facts')
    expect(facts).to_contain_text("nearest image", timeout=PATIENCE)
    before = facts.text_content()
    compared.evaluate(
        """(name) => {
          const root = document.querySelector('.cursor'), seen = window.factsSeen = [];
          const facts = root.querySelector(`.cursor-model[data-model="${name}"] .cursor-facts`);
          const look = () => {
            const words = root.querySelector('.cursor-note').textContent;
            if (words.includes('N(0, I) in every model')) seen.push(facts.textContent);
            requestAnimationFrame(look);
          };
          look();
        }""",
        PAIR[1],
    )
    compared.get_by_text("Prior N(0, I)", exact=True).click()
    expect(compared.locator(".cursor-note")).to_contain_text("N(0, I) in every model")
    expect(facts).to_contain_text("nearest image", timeout=PATIENCE)
    expect(facts).not_to_have_text(before)
    assert before not in compared.evaluate("() => window.factsSeen")


def test_the_prior_is_switched_for_cursor_and_table_together(compared):
    expect(compared.locator(".cursor-note")).to_contain_text("each model's fitted Gaussian")
    move_on_pad(compared, 0.7, 0.7)
    fitted = codes(compared)
    assert not np.allclose(fitted[PAIR[0]], fitted[PAIR[1]])
    outside = compared.locator('.standing tr[data-row="escape_rate"] td')
    before = outside.all_inner_texts()
    compared.get_by_text("Prior N(0, I)", exact=True).click()
    wait_for_idle(compared)
    expect(compared.locator(".cursor-note")).to_contain_text("N(0, I) in every model")
    wait_for_cursor(compared)
    standard = codes(compared)
    assert np.array_equal(standard[PAIR[0]], standard[PAIR[1]])
    for name in PAIR:
        assert_decoded(pictures(compared)[name], SHIPPED / name, standard[name])
    assert outside.all_inner_texts() != before


def test_the_answer_stands_on_the_first_screen(compared):
    for name in PAIR:
        expect(compared.locator(f'.cursor-model[data-model="{name}"]')).to_be_in_viewport(ratio=1)
    expect(compared.get_by_text("metrics of regularity")).to_be_in_viewport(ratio=1)
    expect(compared.locator("table.standing")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("row", ["escape_rate", "reconstruction_nll", "knn_accuracy"])
def test_a_row_opens_to_the_pictures_behind_it(compared, row):
    open_row(compared, row)
    button = compared.locator(f'.standing tr[data-row="{row}"] button')
    expect(button).to_have_attribute("aria-expanded", "true")
    opened = compared.locator('.standing button[aria-expanded="true"]')
    expect(opened).to_have_count(1)
    images = compared.locator(f".st-key-evidence-{row} img")
    expect(images).to_have_count(2, timeout=PATIENCE)
    expect(images.first).to_be_in_viewport(timeout=PATIENCE)


def test_a_row_is_opened_with_the_keyboard(compared):
    button = compared.locator('.standing tr[data-row="escape_rate"] button')
    button.focus()
    button.press("Enter")
    compared.wait_for_selector(".st-key-evidence-escape_rate", timeout=PATIENCE)
    expect(button).to_be_focused()


def plane_state(page, place):
    return page.evaluate(
        "(place) => ({ ...document.querySelectorAll('.plane')[place].dataset })", place
    )


def red_and_grey_dots(page, place):
    """Pixels of a plane's prior samples that are red, and that are grey."""
    plane = page.locator(".plane .plane-plot").nth(place)
    plane.scroll_into_view_if_needed()
    pixels = np.asarray(Image.open(io.BytesIO(plane.screenshot())).convert("RGB")).astype(int)
    red, green, blue = (pixels[..., channel] for channel in range(3))
    is_red = (red > 170) & (green < 90) & (blue < 90)
    is_grey = (abs(red - 98) < 25) & (abs(green - 105) < 25) & (abs(blue - 120) < 25)
    return int(is_red.sum()), int(is_grey.sum())


def test_the_plane_paints_red_as_the_table_counts_holes(standard):
    look_closer(standard, "Plane")
    standard.wait_for_selector(".plane[data-drawn]", timeout=PATIENCE)
    standard.wait_for_function(
        "() => document.querySelectorAll('.plane[data-drawn]').length === 2", timeout=PATIENCE
    )
    standard.locator(".st-key-compare-layers").get_by_text("Posteriors").click()
    wait_for_idle(standard)
    wait_for_page(standard)
    red, grey = red_and_grey_dots(standard, 0)  # 9 % in holes
    assert red < grey
    red, grey = red_and_grey_dots(standard, 1)  # all in holes
    assert red > 3 * grey
    expect(standard.get_by_text("of 359 prior samples lie in a hole (5 % expected)")).to_have_count(
        2
    )


def test_pictures_fade_in_on_the_plane_as_one_zooms(compared):
    look_closer(compared, "Plane")
    compared.wait_for_selector(".plane[data-drawn]", timeout=PATIENCE)
    assert plane_state(compared, 0)["strength"] == "0.00"
    first = compared.locator(".plane").first
    first.scroll_into_view_if_needed()
    for _ in range(2):
        first.get_by_label("Zoom in").click()
    compared.wait_for_function(
        "() => Number(document.querySelector('.plane').dataset.pictures) > 20", timeout=PATIENCE
    )
    assert float(plane_state(compared, 0)["strength"]) > 0.5
    first.get_by_label("Show all").click()
    compared.wait_for_function(
        "() => document.querySelector('.plane').dataset.strength === '0.00'", timeout=PATIENCE
    )


def test_an_end_that_is_dragged_becomes_the_nearest_image_in_all_models(compared):
    look_closer(compared, "Interpolation")
    compared.wait_for_selector(".plane[data-drawn]", timeout=PATIENCE)
    number = compared.get_by_role("spinbutton", name="Image A")
    before, other = (
        number.input_value(),
        compared.get_by_role("spinbutton", name="Image B").input_value(),
    )
    end = compared.locator(".plane").first.locator(".plane-end").first
    end.scroll_into_view_if_needed()
    strip = compared.locator("[data-testid=stImage] img").nth(1)
    former = strip.get_attribute("src")
    box = end.bounding_box()
    area = compared.locator(".plane .plane-plot").first.bounding_box()
    middle = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    compared.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    compared.mouse.down()
    compared.mouse.move(*middle, steps=6)
    compared.mouse.up()
    expect(number).not_to_have_value(before, timeout=PATIENCE)
    assert compared.get_by_role("spinbutton", name="Image B").input_value() == other
    wait_for_page(compared)
    expect(strip).not_to_have_attribute("src", former, timeout=PATIENCE)


def test_the_comparison_is_downloaded_and_opens_without_a_network(compared, chromium, tmp_path):
    look_closer(compared, "Export")
    compared.get_by_role("button", name="Write the page").click()
    button = compared.get_by_role("button", name="Download the page")
    expect(button).to_be_visible(timeout=PATIENCE)
    with compared.expect_download(timeout=PATIENCE) as download:
        button.click()
    file = tmp_path / "comparison.html"
    download.value.save_as(file)
    assert download.value.suggested_filename == "-".join(PAIR) + ".html"
    context = chromium.new_context(offline=True)
    errors = []
    kept = context.new_page()
    kept.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    kept.on("pageerror", lambda error: errors.append(str(error)))
    kept.goto(file.as_uri())
    expect(kept.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)
    expect(kept.locator("table.standing tbody tr")).to_have_count(
        compared.locator("table.standing tbody tr").count()
    )
    assert kept.evaluate("() => [...document.images].every((image) => image.naturalWidth > 0)")
    context.close()
    assert not errors


def test_the_figures_are_downloaded_as_csv_and_json(compared, tmp_path):
    look_closer(compared, "Export")
    found = {}
    for kind in ("CSV", "JSON"):
        with compared.expect_download(timeout=PATIENCE) as download:
            compared.get_by_role("button", name=kind, exact=True).click()
        file = tmp_path / f"figures.{kind.lower()}"
        download.value.save_as(file)
        found[kind] = file.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(found["CSV"])))
    content = json.loads(found["JSON"])
    assert [float(row["value"]) for row in rows] == [one["value"] for one in content["figures"]]
    assert {"digits-vae-8-seed1", "digits-ae-8-seed2"} <= {row["model"] for row in rows}


def test_the_samples_of_all_models_are_drawn_anew_together(compared):
    look_closer(compared, "Samples")
    images = compared.locator("[data-testid=stImage] img")
    before = [image.get_attribute("src") for image in images.all()]
    assert len(before) == 2
    expect(compared.get_by_text("What is published of such pairs")).to_be_visible()
    expect(compared.get_by_text("as published").first).to_be_visible()
    compared.get_by_role("button", name="Draw again").click()
    for place, former in enumerate(before):
        expect(images.nth(place)).not_to_have_attribute("src", former, timeout=PATIENCE)


def test_a_phone_shows_all_of_it_without_scrolling_sideways(compared):
    compared.set_viewport_size({"width": 390, "height": 844})
    for section in ("Examples", "Samples", "Interpolation", "Plane", "Axes", "Definitions"):
        look_closer(compared, section)
        expect_no_overflow(compared)


def test_one_model_that_is_picked_besides_is_driven_too(compared):
    box = compared.get_by_role("combobox", name="Compare with")
    box.click()
    compared.get_by_role("option", name="digits-vae-8-seed1").click()
    compared.wait_for_function(
        "() => document.querySelectorAll('.cursor-model').length === 3", timeout=PATIENCE
    )
    wait_for_cursor(compared)
    move_on_pad(compared, 0.6, 0.6)
    found = codes(compared)
    assert len(found) == 3
    code = found["digits-vae-8-seed1"]
    decoded = Codec.from_folder(SHIPPED / "digits-vae-8-seed1").decode_pixels(code[None])[0]
    shown = pixels_of(compared, '.cursor-model[data-model="digits-vae-8-seed1"] canvas')
    assert np.abs(shown[..., 0].astype(int) - decoded[..., 0].astype(int)).max() <= 1


def test_what_was_not_measured_is_measured_on_the_page(page, app_server, checkpoints):
    folder = shutil.copytree(SHIPPED / PAIR[0], checkpoints / "unmeasured")
    (folder / "regularity.json").unlink()
    try:
        page.goto(f"{app_server.url}/compare?model=unmeasured")
        wait_for_page(page)
        assert page.locator('.standing tr[data-row="coverage_ratio"]').count() == 0
        page.get_by_role("button", name="Measure now").click()
        expect(page.get_by_role("progressbar").first).to_be_visible(timeout=PATIENCE)
        row = page.locator('.standing tr[data-row="coverage_ratio"]')
        expect(row).to_be_visible(timeout=5 * PATIENCE)
        expect(page.get_by_role("button", name="Measure now")).to_be_hidden()
        assert (folder / "regularity.json").is_file()
    finally:
        shutil.rmtree(folder)
