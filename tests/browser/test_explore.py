"""The Explore page in a real Chromium: sliders and decoded picture."""

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.models.library import SHIPPED
from tests.browser.lab import (
    assert_picture_is_decoded,
    axes,
    drag,
    expect_status,
    lab,
    latents,
    model_name,
    open_lab,
    pick_model,
    picture,
    point_on_slider,
    press,
    run_number,
    screenshot,
    slider,
    wait_for_lab,
    wait_for_other_picture,
    wait_for_run,
)

MNIST, DIGITS, PLANE, COLOUR = "mnist-vae-16", "digits-vae-8", "mnist-vae-2", "colour"


def test_opens_with_the_map_painted_and_no_error(page, app_server):
    open_lab(page, app_server.url)
    assert model_name(page) == MNIST
    expect_status(page, "^Live")
    assert lab(page, "map.points.count") == 10_000
    assert lab(page, "map.layer.gl instanceof WebGL2RenderingContext")
    colours = {tuple(pixel) for pixel in screenshot(page, ".lab-map").reshape(-1, 3)}
    for key in lab(page, "lab.colouring.rgb"):
        # Points are not opaque, so their colour is seen where several lie on one another.
        assert any(np.abs(np.subtract(colour, key)).max() < 30 for colour in colours), key
    assert page.locator(".lab-key").count() == 10
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
    expect_status(page, "^Live")
    before = picture(page)
    drag(page, axis, 0.5, 0.2)
    assert (picture(page) != before).any()
    assert_picture_is_decoded(page, SHIPPED / MNIST)


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
