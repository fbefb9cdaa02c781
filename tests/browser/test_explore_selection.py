"""Selections, the direction between two of them, and the pin's neighbours."""

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.latent.selection import summarise_selection
from explorer.live.model import OpenedModel
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    assert_picture_is_decoded,
    click_through,
    lab,
    latents,
    open_lab,
    picture,
    pixels_of,
    run_number,
    wait_for,
    wait_for_lab,
    wait_for_other_picture,
    wait_for_run,
)

DIGITS = "digits-vae-8"


@pytest.fixture(scope="module")
def digits():
    """The digits as the server opens them."""
    return OpenedModel(SHIPPED / DIGITS)


def class_box(page, label, room=14):
    """The box on the page around the points of a class: left, top, right, bottom."""
    return lab(
        page,
        """(() => {
          const [label, room] = arg, box = map.box.getBoundingClientRect();
          const spots = [...lab.labels.keys()].filter((row) => lab.labels[row] === label)
            .map((row) => map.pixel(map.placeOf(row)));
          const of = (best, name) => Math.round(best(...spots.map((spot) => spot[name])));
          return [box.left + of(Math.min, 'x') - room, box.top + of(Math.min, 'y') - room,
            box.left + of(Math.max, 'x') + room, box.top + of(Math.max, 'y') + room];
        })()""",
        [label, room],
    )


def rows_within(page, corners):
    """The points whose middles lie in a polygon on the page."""
    return lab(
        page,
        """(() => {
          const box = map.box.getBoundingClientRect(), path = new Path2D();
          arg.forEach(([x, y], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
          path.closePath();
          const context = document.createElement('canvas').getContext('2d');
          return [...Array(map.points.count).keys()].filter((row) => {
            const { x, y } = map.pixel(map.placeOf(row));
            return context.isPointInPath(path, box.left + x, box.top + y);
          });
        })()""",
        corners,
    )


def choose_tool(page, tool):
    button = page.locator(f"[data-tool={tool}]")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


def draw(page, corners):
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=6)
    page.mouse.up()


def wait_for_selection(page, slot):
    wait_for(page, "!!lab.selections[arg]?.summary && !!lab.selections[arg].pictureOfMean", slot)
    wait_for(page, "!!root.querySelector(`.lab-selection[data-slot=${arg}] canvas`)", slot)
    wait_for_lab(page)


def assert_selection(page, model, slot, rows):
    """The card of a selection says what is so; returns the summary."""
    wait_for_selection(page, slot)
    assert sorted(lab(page, "Array.from(lab.selections[arg].rows)", slot)) == sorted(rows)
    labels, classes = model.encodings.labels, model.config.data.classes
    known = summarise_selection(model.encodings.mean, labels, len(classes), np.array(rows))
    card = page.locator(f".lab-selection[data-slot={slot}]")
    expect(card).to_contain_text(f"{len(rows)} point")
    expect(card).to_contain_text(f"spread {known.radius:.2f}")
    biggest = int(np.argmax(known.mix))
    share = int(100 * known.mix[biggest] / len(rows) + 0.5)
    expect(card).to_contain_text(f"{classes[biggest]}: {share} %")
    assert_decoded(
        pixels_of(page, f".lab-selection[data-slot={slot}] canvas"), model.folder, known.mean
    )
    return known


def test_boxes_and_lassos_are_summed_up_and_give_a_direction(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    left, top, right, bottom = class_box(page, 0)
    choose_tool(page, "select")
    before = latents(page)
    draw(page, [(left, top), (right, bottom)])
    inside = rows_within(page, [(left, top), (right, top), (right, bottom), (left, bottom)])
    first = assert_selection(page, digits, "A", inside)
    assert len(inside) > 20
    expect(page.locator(".lab-tabs [data-tab=selection]")).to_have_attribute(
        "aria-selected", "true"
    )
    # The others fade, and nothing was pinned.
    alphas = lab(
        page,
        "(() => { const seen = {}; map.layer.order.forEach((row, at) => {"
        " seen[row] = map.layer.colours[4 * at + 3]; }); return seen; })()",
    )
    chosen = {alphas[str(row)] for row in inside}
    others = {alpha for row, alpha in alphas.items() if int(row) not in inside}
    assert min(chosen) > 4 * max(others)
    assert (latents(page) == before).all()

    # "Send mean to sliders" glides there; it is one settled change.
    run = run_number(page)
    page.get_by_role("button", name="Send the mean of A to the sliders").click()
    click_through(page, run)
    np.testing.assert_allclose(latents(page), first.mean, atol=1e-5)
    assert_picture_is_decoded(page, digits.folder)

    page.get_by_role("button", name="Selection B").click()
    expect(page.get_by_role("button", name="Selection B, the current one")).to_be_focused()
    left, top, right, bottom = class_box(page, 6)
    middle = (left + right) / 2
    corners = [
        (left - 4, top - 4),
        (right + 4, top - 4),
        (right + 4, bottom + 4),
        (middle, bottom + 9),
        (left - 4, bottom + 4),
    ]
    choose_tool(page, "lasso")
    draw(page, [*corners, corners[0]])
    second = assert_selection(page, digits, "B", rows_within(page, corners))

    # The direction A - B, from where one is.
    slider = page.get_by_role("slider", name="Along the direction A minus B, in its own lengths")
    expect(slider).to_be_visible()
    base, run, seen = latents(page), run_number(page), picture(page)
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.6, 0.7, 0.8):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=3)
        seen = wait_for_other_picture(page, seen)
        assert run_number(page) == run
    page.mouse.up()
    click_through(page, run)
    times = float(slider.input_value())
    assert times > 0.5
    np.testing.assert_allclose(latents(page), base + times * (first.mean - second.mean), atol=1e-3)
    assert_picture_is_decoded(page, digits.folder)
    # By keys, and back by one undo each.
    run, at = run_number(page), latents(page)
    slider.press("ArrowLeft")
    wait_for_run(page, run + 1)
    np.testing.assert_allclose(
        latents(page), base + (times - 0.01) * (first.mean - second.mean), atol=1e-3
    )
    run = run_number(page)
    page.keyboard.press("Control+z")
    wait_for_run(page, run + 1)
    np.testing.assert_allclose(latents(page), at, atol=1e-5)

    # Clearing is a change like others.
    page.get_by_role("button", name="Clear selection B").click()
    expect(slider).to_be_hidden()
    assert lab(page, "lab.selections.B") is None
    page.get_by_role("button", name="Undo", exact=True).click()
    wait_for(page, "!!lab.selections.B")
    expect(slider).to_be_visible()


def test_a_class_is_selected_by_its_name_and_nothing_by_an_empty_box(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    name = page.get_by_role("button", name="Select 4, ")
    name.click()
    rows = np.flatnonzero(digits.encodings.labels == 4).tolist()
    known = assert_selection(page, digits, "A", rows)
    assert known.mix[4] == len(rows)
    expect(page.locator(".lab-selection[data-slot=A]")).to_contain_text("of 4")
    expect(page.locator(".lab-said")).to_contain_text(f"{len(rows)} points of 4")
    # A box around nothing says so and leaves what there is.
    box = page.locator(".lab-map").bounding_box()
    choose_tool(page, "select")
    draw(page, [(box["x"] + 5, box["y"] + 5), (box["x"] + 40, box["y"] + 30)])
    expect(page.locator(".lab-status")).to_contain_text("No point lies there", timeout=PATIENCE)
    assert len(lab(page, "Array.from(lab.selections.A.rows)")) == len(rows)
    # What is hidden is not drawn around.
    page.locator(".lab-key[data-group='0'] .lab-swatch").click()
    left, top, right, bottom = class_box(page, 0)
    draw(page, [(left, top), (right, bottom)])
    wait_for(page, "[...lab.selections.A.rows].every((row) => lab.labels[row] !== 0)")


def test_a_box_and_a_lasso_by_the_keyboard(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    page.locator(".lab-map").focus()
    page.keyboard.press("b")
    corner = lab(page, "Array.from(map.cursor)")
    for key in ("ArrowRight", "ArrowUp"):
        for _ in range(6):
            page.keyboard.press(key)
    opposite = lab(page, "Array.from(map.cursor)")
    low, high = np.minimum(corner, opposite), np.maximum(corner, opposite)
    page.keyboard.press("Enter")
    places = digits.projection.coordinates
    inside = np.flatnonzero(((places > low) & (places < high)).all(axis=1)).tolist()
    assert inside
    assert_selection(page, digits, "A", inside)

    page.locator(".lab-map").focus()
    page.keyboard.press("l")
    for key in ("ArrowDown", "ArrowLeft", "ArrowUp"):
        for _ in range(9):
            page.keyboard.press(key)
        page.keyboard.press("Space")
    wait_for(page, "map.outline.corners.length === 4")
    page.keyboard.press("Escape")
    wait_for(page, "!map.outline")
    assert_selection(page, digits, "A", inside)
    page.keyboard.press("l")
    for key in ("ArrowDown", "ArrowLeft", "ArrowUp"):
        for _ in range(9):
            page.keyboard.press(key)
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    wait_for(page, "lab.selections.A.words === 'in a lasso'")
    wait_for_selection(page, "A")
    assert lab(page, "lab.selections.A.rows.length") > 0


def test_the_twelve_nearest_codes_and_a_click_on_one(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    for _ in range(2):
        distances, rows = digits.nearest(latents(page), 12)
        thumbs = page.locator(".lab-thumb[data-row]")
        wait_for(
            page,
            "String([...root.querySelectorAll('.lab-thumb[data-row]')]"
            ".map((thumb) => thumb.dataset.row)) === String(arg)",
            rows.tolist(),
        )
        expect(thumbs).to_have_count(12)
        for place in (0, 5, 11):
            thumb = thumbs.nth(place)
            label = digits.config.data.classes[digits.encodings.labels[rows[place]]]
            expect(thumb.locator("b")).to_have_text(label)
            expect(thumb.locator("span")).to_have_text(f"{distances[place]:.2f}")
            shown = pixels_of(page, f".lab-thumb[data-neighbour='{place}'] canvas")[..., 0]
            assert shown.tobytes() == digits.picture(int(rows[place])).pixels
        run = run_number(page)
        thumbs.nth(5).click()
        click_through(page, run)
        assert (latents(page) == digits.encodings.mean[rows[5]]).all()
        assert_picture_is_decoded(page, digits.folder)
    # By keys too; the focus stays where it was.
    run, code = run_number(page), latents(page)
    wait_for(
        page,
        "Number(root.querySelector('.lab-thumb[data-neighbour=\"0\"] span').textContent) === 0",
    )
    page.locator(".lab-thumb[data-neighbour='3']").press("Enter")
    click_through(page, run)
    assert (latents(page) != code).any()
    wait_for(
        page,
        "Number(root.querySelector('.lab-thumb[data-neighbour=\"0\"] span').textContent) === 0",
    )
    expect(page.locator(".lab-thumb[data-neighbour='3']")).to_be_focused()
