"""The Explore page in a real Chromium: map, sliders and decoded picture."""

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    axes,
    drag,
    expect_no_overflow,
    expect_status,
    latents,
    model_name,
    open_lab,
    pick_model,
    picture,
    point_on_slider,
    press,
    run_number,
    slider,
    wait_for_idle,
    wait_for_lab,
    wait_for_other_picture,
    wait_for_run,
)

MNIST, DIGITS, PLANE, COLOUR = "mnist-vae-16", "digits-vae-8", "mnist-vae-2", "colour"

# The point of the map with most room around it, where it is on the page, and its code.
LONELIEST = """() => {
  const root = document.querySelector('.lab'), lab = root.lab.map, { points } = lab;
  const map = root.querySelector('.lab-map').getBoundingClientRect();
  const plot = root.querySelector('.lab-plot')._fullLayout;
  const middle = (spot) => spot.x < plot.xaxis._offset + 0.85 * plot.xaxis._length
    && spot.y > plot.yaxis._offset + 0.15 * plot.yaxis._length;
  const spots = Array.from({ length: points.count }, (_, row) => lab.pixel(lab.placeOf(row)));
  let best = null, most = -1;
  for (let row = 0; row < points.count; row += Math.ceil(points.count / 400)) {
    if (!spots[row].inside || !middle(spots[row])) continue;
    let room = Infinity;
    spots.forEach((spot, other) => {
      const distance = Math.hypot(spot.x - spots[row].x, spot.y - spots[row].y);
      if (other !== row) room = Math.min(room, distance);
    });
    if (room > most) { most = room; best = row; }
  }
  const { latentDim } = points;
  return {
    row: best, x: map.x + spots[best].x, y: map.y + spots[best].y,
    code: Array.from(points.codes.slice(best * latentDim, (best + 1) * latentDim)),
  };
}"""


def lonely_point(page):
    return page.evaluate(LONELIEST)


def assert_picture_is_decoded(page, folder):
    """The canvas shows what torch decodes from the code of the sliders."""
    wait_for_lab(page)
    decoded = Codec.from_folder(folder).decode_pixels(latents(page)[None])[0]
    shown = picture(page)
    assert shown.shape == (*decoded.shape[:2], 4)
    assert (shown[..., 3] == 255).all()
    # Between two batch sizes torch may round a value differently, which moves it by one grey.
    difference = np.abs(shown[..., :3].astype(int) - decoded.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_opens_with_the_map_painted_and_no_error(page, app_server):
    open_lab(page, app_server.url)
    assert model_name(page) == MNIST
    expect_status(page, "^Move a slider")
    painted = page.evaluate(
        """() => document.querySelector('.lab-plot').data
          .reduce((sum, trace) => sum + trace.x.length, 0)"""
    )
    assert painted == 10_000
    assert len(page.query_selector_all(".lab-plot .legend .traces")) == 10
    expect(page.locator(".lab-marker")).to_be_visible()
    assert page.title() == "Latent Explorer"


def test_a_drag_paints_pictures_live_and_runs_the_script_once_at_its_end(page, app_server):
    open_lab(page, app_server.url)
    axis = axes(page)[0]
    for end in (0.9, 0.8):
        run = run_number(page)
        seen = [picture(page)]
        page.mouse.move(*point_on_slider(page, axis, 0.5))
        page.mouse.down()
        for share in np.linspace(0.1, end, 12):
            page.mouse.move(*point_on_slider(page, axis, share))
            seen.append(wait_for_other_picture(page, seen[-1]))
            assert run_number(page) == run
        page.mouse.up()
        assert len({shown.tobytes() for shown in seen}) >= 12
        wait_for_run(page, run + 1)
        # A second run would be counted by the next drag, which starts from here.
        assert run_number(page) == run + 1
    assert_picture_is_decoded(page, SHIPPED / MNIST)


def test_a_drag_that_follows_at_once_is_not_interrupted_by_the_one_before(page, app_server):
    open_lab(page, app_server.url)
    first, second = axes(page)[:2]
    run = run_number(page)
    start, end = point_on_slider(page, first, 0.5), point_on_slider(page, first, 0.9)
    next_start, next_end = point_on_slider(page, second, 0.5), point_on_slider(page, second, 0.2)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    page.mouse.move(*next_start)
    page.mouse.down()
    page.mouse.move(*next_end)
    wait_for_run(page, run + 1)
    # Longer than any of the page's own delays: 25 round trips of a picture.
    for share in np.linspace(0.3, 0.9, 25):
        shown = picture(page)
        page.mouse.move(*point_on_slider(page, second, share))
        wait_for_other_picture(page, shown)
        assert run_number(page) == run + 1
    page.mouse.up()
    wait_for_run(page, run + 2)
    assert run_number(page) == run + 2


@pytest.mark.parametrize("name", [MNIST, DIGITS, PLANE, COLOUR])
def test_the_picture_is_what_torch_decodes(name, page, app_server, checkpoints):
    folder = (checkpoints if name == COLOUR else SHIPPED) / name
    open_lab(page, app_server.url, name)
    assert_picture_is_decoded(page, folder)
    for axis in axes(page)[:2]:
        drag(page, axis, 0.5, 0.97)
        assert_picture_is_decoded(page, folder)
    press(page, "Prior sample")
    assert_picture_is_decoded(page, folder)


@pytest.mark.parametrize("name", [MNIST, PLANE])
def test_a_click_on_a_point_puts_its_code_into_the_sliders(name, page, app_server):
    open_lab(page, app_server.url, name)
    point = lonely_point(page)
    run = run_number(page)
    page.mouse.move(point["x"], point["y"])
    expect(page.locator(".lab-ring")).to_be_visible()
    expect(page.locator(".lab-card")).to_be_visible()
    # No MNIST is at hand in this test, and the card must say so.
    expect(page.locator(".lab-card")).to_contain_text("reconstruction")
    page.mouse.click(point["x"], point["y"])
    wait_for_run(page, run + 1)
    assert latents(page).tolist() == point["code"]
    shown = [float(slider(page, axis).input_value()) for axis in range(len(point["code"]))]
    low = [float(slider(page, axis).get_attribute("min")) for axis in range(len(shown))]
    high = [float(slider(page, axis).get_attribute("max")) for axis in range(len(shown))]
    assert np.allclose(shown, np.clip(point["code"], low, high), atol=1e-5)
    assert_picture_is_decoded(page, SHIPPED / name)


def test_undo_and_redo_by_button_and_by_key(page, app_server):
    open_lab(page, app_server.url)
    undo = page.get_by_role("button", name="Undo", exact=True)
    redo = page.get_by_role("button", name="Redo", exact=True)
    expect(undo).to_be_disabled()
    expect(redo).to_be_disabled()
    codes = [latents(page)]
    for axis in axes(page)[:2]:
        drag(page, axis, 0.5, 0.8)
        codes.append(latents(page))
    press(page, "Undo")
    assert (latents(page) == codes[1]).all()
    press(page, "Undo")
    assert (latents(page) == codes[0]).all()
    expect(undo).to_be_disabled()
    press(page, "Redo")
    assert (latents(page) == codes[1]).all()
    run = run_number(page)
    page.keyboard.press("Control+Shift+Z")
    wait_for_run(page, run + 1)
    assert (latents(page) == codes[2]).all()
    expect(redo).to_be_disabled()
    page.keyboard.press("Control+Z")
    wait_for_run(page, run + 2)
    assert (latents(page) == codes[1]).all()


def test_keys_move_and_reset_an_axis(page, app_server):
    open_lab(page, app_server.url)
    axis = axes(page)[0]
    start = latents(page)
    run = run_number(page)
    slider(page, axis).focus()
    page.keyboard.press("ArrowRight")
    wait_for_run(page, run + 1)
    moved = latents(page)
    assert moved[axis] > start[axis]
    assert (np.delete(moved, axis) == np.delete(start, axis)).all()
    page.keyboard.press("Delete")
    wait_for_run(page, run + 2)
    assert np.allclose(latents(page), start, atol=1e-6)
    drag(page, axis, 0.5, 0.9)
    run = run_number(page)
    slider(page, axis).dblclick()
    wait_for_run(page, run + 1)
    assert np.allclose(latents(page), start, atol=1e-6)


def test_a_prior_sample_changes_every_axis_and_the_mean_code_goes_back(page, app_server):
    open_lab(page, app_server.url)
    start = latents(page)
    press(page, "Prior sample")
    assert (latents(page) != start).all()
    press(page, "Mean code")
    assert np.allclose(latents(page), start, atol=1e-6)


def test_each_model_keeps_its_code(page, app_server):
    open_lab(page, app_server.url)
    drag(page, axes(page)[0], 0.5, 0.9)
    first = latents(page)
    pick_model(page, DIGITS)
    assert len(latents(page)) == 8
    drag(page, axes(page)[0], 0.5, 0.2)
    second = latents(page)
    pick_model(page, MNIST)
    assert (latents(page) == first).all()
    assert_picture_is_decoded(page, SHIPPED / MNIST)
    pick_model(page, DIGITS)
    assert (latents(page) == second).all()
    assert_picture_is_decoded(page, SHIPPED / DIGITS)


def test_two_tabs_keep_their_own_sliders(new_page, app_server):
    left, right = new_page(), new_page()
    open_lab(left, app_server.url)
    open_lab(right, app_server.url)
    axis, other, third = axes(left)[:3]
    start = latents(right)
    left.bring_to_front()  # a tab behind another draws once a second
    drag(left, axis, 0.5, 0.9)
    moved = latents(left)
    assert moved[axis] > start[axis]
    right.bring_to_front()
    drag(right, other, 0.5, 0.1)
    assert latents(right)[axis] == start[axis]
    pick_model(right, DIGITS)
    left.bring_to_front()
    drag(left, third, 0.5, 0.3)
    assert model_name(left) == MNIST
    assert latents(left)[axis] == moved[axis]
    assert latents(left)[other] == start[other]
    assert_picture_is_decoded(left, SHIPPED / MNIST)
    right.bring_to_front()
    assert_picture_is_decoded(right, SHIPPED / DIGITS)


def test_says_that_the_connection_is_lost_and_recovers(page, restartable_server, expected_errors):
    expected_errors += ["WebSocket connection to", "net::ERR_", "WebSocket onerror"]
    open_lab(page, restartable_server.url)
    axis = axes(page)[0]
    drag(page, axis, 0.5, 0.8)
    restartable_server.stop()
    expect_status(page, "Connection lost|No live connection")
    restartable_server.start()
    wait_for_lab(page)
    expect_status(page, "^Move a slider")
    before = picture(page)
    drag(page, axis, 0.5, 0.2)
    assert (picture(page) != before).any()
    assert_picture_is_decoded(page, SHIPPED / MNIST)


@pytest.mark.parametrize("name", [MNIST, DIGITS])
def test_fits_a_narrow_window(name, page, app_server):
    page.set_viewport_size({"width": 390, "height": 844})
    open_lab(page, app_server.url, name)
    expect_no_overflow(page)
    drag(page, axes(page)[-1], 0.5, 0.8)
    wait_for_idle(page)
    expect_no_overflow(page)
    assert_picture_is_decoded(page, SHIPPED / name)


def test_a_quick_undo_takes_back_the_last_key_alone(page, app_server):
    open_lab(page, app_server.url)
    axis = axes(page)[0]
    drag(page, axis, 0.5, 0.9)
    dragged, run = latents(page), run_number(page)
    slider(page, axis).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(latents(page), dragged)
    wait_for_run(page, run + 1)
    np.testing.assert_array_equal(latents(page), dragged)


def test_the_legend_hides_a_class_and_shows_it_again(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    hidden = "() => document.querySelector('.lab-plot').data.map((trace) => trace.visible ?? true)"
    for shown in ("legendonly", True):
        page.locator(".lab-plot .legendtoggle").nth(3).click()
        # Plotly waits for a second click before it takes the first for one of its own.
        page.wait_for_function(f"(shown) => ({hidden})()[3] === shown", arg=shown, timeout=PATIENCE)
        assert [state for row, state in enumerate(page.evaluate(hidden)) if row != 3] == [True] * 9
