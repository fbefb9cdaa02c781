"""What the sliders say and can do beside being dragged."""

import json
import os

import numpy as np
from playwright.sync_api import expect

from explorer.latent.axes import summarise_axes
from explorer.live.model import OpenedModel
from explorer.models.checkpoint import AXES, WEIGHTS
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_picture_is_decoded,
    axes,
    click_through,
    drag,
    expect_status,
    lab,
    latents,
    lonely_point,
    marker_point,
    open_lab,
    picture,
    pixels_of,
    point_on_slider,
    press,
    run_number,
    slider,
    wait_for,
    wait_for_lab,
    wait_for_run,
)

DIGITS, MNIST, PLANE = "digits-vae-8", "mnist-vae-16", "mnist-vae-2"


def row_of(page, axis):
    return page.locator(f".lab-axis[data-axis='{axis}']")


def test_sliders_are_ordered_by_information_and_eight_come_first(page, app_server):
    open_lab(page, app_server.url, MNIST)
    encodings = OpenedModel(SHIPPED / MNIST).encodings
    known = summarise_axes(encodings.mean, encodings.log_var)
    assert axes(page) == known.order.tolist()
    assert (np.diff(known.information[known.order]) <= 0).all()
    rows = page.locator(".lab-axis").all()
    assert [row.is_visible() for row in rows] == [True] * 8 + [False] * 8
    more = page.locator(".lab-more")
    inactive = int((~known.active[known.order[8:]]).sum())
    expect(more).to_have_text(f"8 more ({inactive} inactive)" if inactive else "8 more")
    more.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    assert all(row.is_visible() for row in rows)
    for axis, row in zip(axes(page), rows, strict=True):
        words = row.locator(".lab-name").evaluate(
            "(name) => getComputedStyle(name, '::after').content"
        )
        assert ("inactive" in words) == (not known.active[axis])
        label = slider(page, axis).get_attribute("aria-label")
        assert label.startswith(f"z{axis + 1}, axis {axis + 1}, {known.information[axis]:.2f} nats")
        assert ("inactive" in label) == (not known.active[axis])
        # The ends go 1.5 times as far as the range that holds 99 % of the codes.
        low, high = known.low[axis], known.high[axis]
        ends = [float(slider(page, axis).get_attribute(end)) for end in ("min", "max")]
        middle, half = (low + high) / 2, 0.75 * (high - low)
        np.testing.assert_allclose(ends, [middle - half, middle + half], rtol=1e-4, atol=1e-4)
    more.click()
    assert not rows[8].is_visible()


def test_what_lies_beyond_the_usual_range_is_marked(page, app_server):
    open_lab(page, app_server.url, PLANE)
    axis = axes(page)[0]
    row = row_of(page, axis)
    band, track = row.locator(".lab-usual").bounding_box(), slider(page, axis).bounding_box()
    # The band stands where 99 % of the codes are: the middle two thirds of the way.
    np.testing.assert_allclose(
        [band["x"] - track["x"], band["width"]],
        [8 + (track["width"] - 16) / 6, (track["width"] - 16) * 2 / 3],
        atol=1.5,
    )
    for share, beyond in ((0.7, False), (0.95, True), (0.04, True), (0.5, False)):
        drag(page, axis, 0.5, share)
        expect(row).to_have_attribute("data-beyond", str(beyond).lower())
        title = row.locator(".lab-number").get_attribute("title") or ""
        assert ("Beyond" in title) == beyond
    colours = {
        beyond: row.locator(".lab-number").evaluate("(number) => getComputedStyle(number).color")
        for beyond in (False,)
    }
    drag(page, axis, 0.5, 0.98)
    assert colours[False] != row.locator(".lab-number").evaluate(
        "(number) => getComputedStyle(number).color"
    )


def test_a_number_is_typed_in_and_nonsense_is_not_taken(page, app_server):
    open_lab(page, app_server.url, PLANE)
    axis = axes(page)[0]
    number = row_of(page, axis).locator(".lab-number")
    run = run_number(page)
    number.fill("1.25")
    number.press("Enter")
    click_through(page, run)
    assert latents(page)[axis] == 1.25
    assert_picture_is_decoded(page, SHIPPED / PLANE)
    # Beyond the slider's end the number counts.
    run = run_number(page)
    number.fill("-40")
    number.press("Tab")
    click_through(page, run)
    assert latents(page)[axis] == -40
    expect(row_of(page, axis)).to_have_attribute("data-beyond", "true")
    run = run_number(page)
    for nonsense in ("", "1e9"):
        number.fill(nonsense)
        number.press("Tab")
        expect(number).to_have_value("-40.000")
    number.fill("7")
    number.press("Escape")
    expect(number).to_have_value("-40.000")
    assert latents(page)[axis] == -40
    assert run_number(page) == run


def test_strips_show_what_each_axis_does_and_a_click_goes_there(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    codec, order = Codec.from_folder(SHIPPED / DIGITS), axes(page)
    assert page.locator(".lab-strip:visible").count() == 0
    page.get_by_role("button", name="Strips", exact=True).click()
    expect(page.locator(".lab-strip:visible")).to_have_count(8, timeout=PATIENCE)
    assert len([url for url in asked if "/pictures/" in url]) >= 1

    def assert_strip(axis):
        """Nine decodings along an axis, from one end of its usual range to the other."""
        facts = next(one for one in lab(page, "lab.data.axes") if one["index"] == axis)
        codes = np.tile(latents(page), (9, 1))
        codes[:, axis] = np.linspace(facts["low"], facts["high"], 9)
        known = np.concatenate(list(codec.decode_pixels(codes)[..., 0]), axis=1)
        shown = pixels_of(page, f".lab-axis[data-axis='{axis}'] .lab-strip")[..., 0]
        assert shown.shape == known.shape
        assert np.abs(shown.astype(int) - known.astype(int)).max() <= 1
        return codes

    codes = assert_strip(order[0])
    assert_strip(order[1])
    other = f"root.querySelector('.lab-axis[data-axis=\"{order[1]}\"] .lab-strip').toDataURL()"
    before = lab(page, other)
    strip = row_of(page, order[0]).locator(".lab-strip")
    box, run = strip.bounding_box(), run_number(page)
    page.mouse.click(box["x"] + 7.5 / 9 * box["width"], box["y"] + box["height"] / 2)
    click_through(page, run)
    np.testing.assert_allclose(latents(page), codes[7], atol=1e-5)
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
    # The other strips follow the settled code.
    wait_for(page, f"{other} !== arg", before)
    assert_strip(order[1])
    page.get_by_role("button", name="Strips", exact=True).click()
    expect(page.locator(".lab-strip:visible")).to_have_count(0)


def test_a_locked_axis_is_moved_by_its_own_slider_alone(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    axis, free = axes(page)[:2]
    drag(page, axis, 0.5, 0.8)
    value = latents(page)[axis]
    lock = row_of(page, axis).locator(".lab-lock")
    lock.press("Space")
    expect(lock).to_have_attribute("aria-pressed", "true")
    before = latents(page)
    press(page, "Prior sample")
    assert latents(page)[axis] == value
    assert latents(page)[free] != before[free]
    press(page, "Mean code")
    assert latents(page)[axis] == value
    # Nor by a point that is pinned, a marker that is dragged or a neighbour.
    point, run = lonely_point(page), run_number(page)
    page.mouse.click(point["x"], point["y"])
    click_through(page, run)
    assert latents(page)[axis] == value
    run, at = run_number(page), marker_point(page)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 60, at[1] + 30, steps=6)
    page.mouse.up()
    click_through(page, run)
    assert latents(page)[axis] == value
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
    drag(page, axis, 0.8, 0.3)
    assert latents(page)[axis] < value
    lock.click()
    expect(lock).to_have_attribute("aria-pressed", "false")
    press(page, "Mean code")
    assert latents(page)[axis] != value


def test_sampling_the_posterior_wobbles_by_its_own_sigma_and_comes_back(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    axis, last = axes(page)[0], axes(page)[-1]
    row_of(page, axis).locator(".lab-lock").click()
    wait_for(page, "!!lab.truth.pin?.sigma")
    base, run, sigma = latents(page), run_number(page), np.array(lab(page, "lab.truth.pin.sigma"))
    assert (sigma > 0).all()
    assert (sigma < 1.5).all()
    page.evaluate(
        """() => { const { lab } = document.querySelector('.lab'), codes = window.wobbled = [];
          const look = () => { codes.push(Array.from(lab.latents)); requestAnimationFrame(look); };
          look(); }"""
    )
    start = lab(page, "lab.frames")
    button = page.get_by_role("button", name="Sample posterior")
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("() => window.wobbled.length > 400", timeout=PATIENCE)
    assert lab(page, "lab.frames") - start > 20
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    wait_for_lab(page)
    draws = (np.array(page.evaluate("() => window.wobbled"))[20:] - base) / sigma
    assert (draws[:, axis] == 0).all()  # it is locked
    others = np.delete(draws, axis, axis=1)
    spread = np.sqrt((others[(others != 0).all(axis=1)] ** 2).mean())
    assert 0.6 < spread < 1.4
    assert np.abs(others).max() < 6
    assert (latents(page) == base).all()
    assert run_number(page) == run
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
    # A slider that is taken ends it as well.
    button.click()
    wait_for(page, "lab.latents.some((value, axis) => value !== lab.settled[axis])")
    drag(page, last, 0.5, 0.7)
    expect(button).to_have_attribute("aria-pressed", "false")
    assert (np.delete(latents(page), last) == np.delete(base, last)).all()
    # An autoencoder has no sigma.
    open_lab(page, app_server.url, "digits-ae-8")
    expect(button).to_be_disabled()


def test_names_of_axes_are_kept_with_the_checkpoint(new_page, app_server, checkpoints):
    page = new_page()
    open_lab(page, app_server.url, "own")
    axis = axes(page)[0]
    name = row_of(page, axis).locator(".lab-name")
    name.press("Enter")
    entry = page.get_by_role("textbox", name=f"New name of axis {axis + 1}")
    expect(entry).to_be_focused()
    entry.fill("thickness <b>")
    entry.press("Enter")
    expect(name).to_have_text("thickness <b>")
    expect(name).to_be_focused()
    wait_for(page, "root.querySelector('.lab-said').textContent.includes('thickness')")
    assert slider(page, axis).get_attribute("aria-label").startswith("thickness <b>, axis")
    stored = json.loads((checkpoints / "own" / AXES).read_text(encoding="utf-8"))
    assert stored["names"] == {str(axis): "thickness <b>"}
    options = page.locator(".lab-axis-x option").all_text_contents()
    assert "thickness <b>" in options
    # Another person sees it; Escape keeps the old one, an empty name takes it away.
    other = new_page()
    open_lab(other, app_server.url, "own")
    shown = row_of(other, axis).locator(".lab-name")
    expect(shown).to_have_text("thickness <b>")
    shown.click()
    entry = other.get_by_role("textbox", name=f"New name of axis {axis + 1}")
    entry.fill("nothing")
    entry.press("Escape")
    expect(shown).to_have_text("thickness <b>")
    shown.click()
    entry.fill("")
    entry.press("Enter")
    expect(shown).to_have_text(f"z{axis + 1}")
    wait_for(other, "root.querySelector('.lab-said').textContent.includes('no name')")
    assert json.loads((checkpoints / "own" / AXES).read_text(encoding="utf-8"))["names"] == {}


def test_a_name_that_is_refused_stays_out_and_the_page_says_why(
    page, app_server, expected_errors, checkpoints
):
    expected_errors.append("status of 4")
    open_lab(page, app_server.url, "own")
    axis = axes(page)[1]
    folder = checkpoints / "own"
    (folder / AXES).unlink(missing_ok=True)
    weights = folder / WEIGHTS
    written = weights.stat()
    os.utime(weights, (1, 1))
    try:
        name = row_of(page, axis).locator(".lab-name")
        name.click()
        page.get_by_role("textbox", name=f"New name of axis {axis + 1}").fill("tilt")
        page.keyboard.press("Enter")
        expect_status(page, "trained again or deleted")
        expect(name).to_have_text(f"z{axis + 1}")
    finally:
        os.utime(weights, ns=(written.st_atime_ns, written.st_mtime_ns))


def test_wheel_and_touch_do_not_move_a_slider_by_accident(page, app_server):
    open_lab(page, app_server.url, PLANE)
    before, shown = latents(page), picture(page)
    page.mouse.move(*point_on_slider(page, axes(page)[0], 0.5))
    page.mouse.wheel(0, 300)
    wait_for_lab(page)
    assert (latents(page) == before).all()
    assert (picture(page) == shown).all()
    # Shift is finer on a slider too.
    axis, steps = axes(page)[0], []
    for key in ("ArrowRight", "Shift+ArrowRight"):
        at, run = latents(page)[axis], run_number(page)
        slider(page, axis).press(key)
        wait_for_run(page, run + 1)
        steps.append(latents(page)[axis] - at)
    np.testing.assert_allclose(steps[1], steps[0] / 5, rtol=1e-2)
