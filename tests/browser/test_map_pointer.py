"""Pointer and keyboard on the map: looking, pinning, dragging, the truth about a spot."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.live.model import OpenedModel
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    assert_picture_is_decoded,
    axes,
    click_through,
    drag,
    empty_spots,
    hover,
    lab,
    latents,
    lonely_point,
    marker_point,
    open_lab,
    picture,
    pixels_of,
    point_on_slider,
    record,
    recorded,
    run_number,
    screenshot,
    slider,
    wait_for,
    wait_for_lab,
    wait_for_other_picture,
    wait_for_run,
)

DIGITS, MNIST, PLANE = "digits-vae-8", "mnist-vae-16", "mnist-vae-2"
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown")


@pytest.fixture(scope="module")
def opened():
    """A shipped model as the server opens it, by its name."""
    kept = {}
    return lambda name: kept.setdefault(name, OpenedModel(SHIPPED / name))


def ink_around(page, x, y, radius):
    """How much is drawn over the map on a circle around a spot of the page, 0 to 1."""
    return lab(
        page,
        """(() => {
          const box = map.box.getBoundingClientRect(), [x, y, radius] = arg;
          const context = map.over.getContext('2d'), many = 32;
          let inked = 0;
          for (let step = 0; step < many; step += 1) {
            const angle = (2 * Math.PI * step) / many;
            const across = map.ratio * (x - box.left + radius * Math.cos(angle));
            const up = map.ratio * (y - box.top + radius * Math.sin(angle));
            inked += context.getImageData(Math.round(across), Math.round(up), 1, 1).data[3] > 0;
          }
          return inked / many;
        })()""",
        [x, y, radius],
    )


def fact(page, name):
    return page.locator(f"[data-fact={name}] dd")


def test_a_point_is_ringed_at_once_and_its_card_comes_after_a_moment(page, app_server, opened):
    open_lab(page, app_server.url, DIGITS)
    point, before = lonely_point(page), latents(page)
    record(page, "[map.hovered ?? -1, map.card.hidden]")
    assert ink_around(page, point["x"], point["y"], 8) < 0.5
    page.mouse.move(point["x"], point["y"])
    card = page.locator(".lab-card")
    expect(card).to_be_visible(timeout=PATIENCE)
    seen = recorded(page)
    assert seen.index([point["row"], True]) < seen.index([point["row"], False])
    assert ink_around(page, point["x"], point["y"], 8) > 0.9
    model, row = opened(DIGITS), point["row"]
    found = model.picture(row)
    assert found.real
    shown = pixels_of(page, ".lab-card canvas")
    assert shown[..., 0].tobytes() == found.pixels
    label = model.config.data.classes[model.encodings.labels[row]]
    expect(card.locator("b")).to_have_text(label)
    expect(card).to_contain_text(f"held-out image {model.encodings.index[row]}")
    expect(card).to_contain_text(f"reconstruction {found.nll:.1f} nats")
    expect(card).to_contain_text(f"KL {found.kl:.1f} nats")
    box, around = card.bounding_box(), page.locator(".lab-map").bounding_box()
    assert box["x"] >= around["x"]
    assert box["x"] + box["width"] <= around["x"] + around["width"]
    # Looking pins nothing.
    assert (latents(page) == before).all()
    page.mouse.move(point["x"], page.locator(".lab-buttons").bounding_box()["y"])
    page.locator(".lab-buttons").hover()
    expect(card).to_be_hidden()
    assert lab(page, "map.hovered") is None


def test_the_card_says_when_it_shows_a_reconstruction(page, app_server, opened):
    open_lab(page, app_server.url, PLANE)
    point = lonely_point(page)
    page.mouse.move(point["x"], point["y"])
    card = page.locator(".lab-card")
    expect(card).to_contain_text("the images are not at hand", timeout=PATIENCE)
    index = opened(PLANE).encodings.index[point["row"]]
    expect(card).to_contain_text(f"reconstruction of image {index}")
    expect(card).to_contain_text("KL")
    expect(card).not_to_contain_text("NaN")
    assert_decoded(
        pixels_of(page, ".lab-card canvas"),
        SHIPPED / PLANE,
        opened(PLANE).encodings.mean[point["row"]],
    )


@pytest.mark.parametrize("name", [DIGITS, PLANE])
def test_empty_land_is_decoded_live_in_the_ghost_and_leaving_restores(
    name, page, app_server, opened
):
    open_lab(page, app_server.url, name)
    before, pinned, run = latents(page), picture(page), run_number(page)
    spots = empty_spots(page, 6)
    facts_of_the_pin = page.locator(".lab-truth").inner_text()
    ghosts = []
    for spot in spots:
        hover(page, spot["x"], spot["y"])
        wait_for(page, "root.dataset.ghost === 'true'")
        ghosts.append(pixels_of(page, ".lab-ghost"))
        code = np.array(lab(page, "Array.from(lab.ghostCode)"), np.float32)
        place = np.array(spot["place"], np.float32)
        # The Gaussian-weighted mean of the codes of the nearest points; on a plane the spot itself.
        np.testing.assert_allclose(
            code, opened(name).view("map").spot_codes.codes(place[None])[0], atol=1e-4
        )
        assert_decoded(ghosts[-1], SHIPPED / name, code)
        assert lab(page, "map.hovered") is None
        assert page.locator(".lab-card").is_hidden()
    assert len({ghost.tobytes() for ghost in ghosts}) == len(ghosts)
    assert (picture(page) == pinned).all()
    assert (latents(page) == before).all()
    page.locator(".lab-buttons").hover()
    wait_for(page, "root.dataset.ghost === 'false'")
    assert not pixels_of(page, ".lab-ghost").any()
    expect(page.locator(".lab-truth")).to_have_text(
        re.compile(re.escape(facts_of_the_pin).replace(r"\n", r"\s*")), use_inner_text=True
    )
    assert run_number(page) == run


@pytest.mark.parametrize("name", [DIGITS, PLANE])
def test_the_truth_about_the_pin_and_about_the_spot_under_the_pointer(
    name, page, app_server, opened
):
    open_lab(page, app_server.url, name)
    model = opened(name)

    def assert_truth(code, spot=None):
        """What stands beside the picture is so."""
        spot = None if spot is None else np.array(spot, np.float32)
        truth = model.truth(code, model.cycle(code[None])[0], view=model.view("map"), spot=spot)
        near = truth["nearest"]
        wait_for(page, "lab.link.slots.truth.quiet && !lab.truth.timer && lab.link.quiet")
        label, words = fact(page, "nearest").locator("span").inner_text().split(", distance ")
        assert label == model.config.data.classes[near["label"]]
        assert float(words) == pytest.approx(near["distance"], rel=0.01, abs=1e-6)
        empty = bool(truth["map"] and truth["map"]["empty"])
        assert page.locator("[data-fact=map]").is_visible() == empty
        assert page.locator("[data-fact=density]").is_visible() == (not empty)
        if not empty:
            density = lab(page, "root.querySelector('[data-fact=density] meter').value")
            assert density == pytest.approx(truth["density"], abs=0.5)
        quantile = lab(page, "root.querySelector('[data-fact=radius] meter').value")
        assert quantile == pytest.approx(truth["radius_quantile"], abs=1e-3)
        words = fact(page, "radius").inner_text()
        assert float(words.split(",")[0]) == pytest.approx(truth["radius"], rel=0.01)
        cycle = float(fact(page, "cycle").inner_text())
        assert cycle == pytest.approx(truth["cycle"], rel=0.02, abs=1e-3)
        assert page.locator("[data-fact=density] .lab-badge").is_visible() == truth["hole"]
        # The picture of the nearest one comes a message later.
        wait_for(page, "!lab.asks.size")
        found = model.picture(near["row"])
        nearest = pixels_of(page, "[data-fact=nearest] canvas")[..., 0]
        expected = np.frombuffer(found.pixels, np.uint8).reshape(nearest.shape)
        assert np.abs(nearest.astype(int) - expected.astype(int)).max() <= (0 if found.real else 1)
        return truth

    exact = "exact" if name == PLANE else "approximate (UMAP)"
    expect(fact(page, "spot").locator("b")).to_have_text(exact)
    assert not assert_truth(latents(page))["hole"]
    point = lonely_point(page)
    hover(page, point["x"], point["y"])
    spot = lab(page, "Array.from(map.ghost)")
    assert_truth(np.array(lab(page, "Array.from(lab.ghostCode)"), np.float32), spot)
    page.locator(".lab-buttons").hover()
    # Far from all codes: the ends of two axes.
    for axis in axes(page)[:2]:
        drag(page, axis, 0.5, 0.999)
    assert assert_truth(latents(page))["hole"]
    expect(page.locator("[data-fact=density] .lab-badge")).to_have_text("sparse")
    expect(page.locator("[data-fact=density] .lab-badge")).to_have_attribute(
        "title", re.compile("^Sparse: farther from its nearest encodings than 95 % of the encoded")
    )


def emptiest_and_fullest(page):
    """Where on the page the map shows least and most points, by its pixels: two (x, y)."""
    shown = screenshot(page, ".lab-map").astype(int)
    box = page.locator(".lab-map").bounding_box()
    coloured = np.abs(shown - np.median(shown, axis=(0, 1))).max(axis=2) > 40
    # Shares of inked pixels in squares of 61 x 61 around each pixel, by sums of sums.
    reach = 30
    sums = np.pad(coloured.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    side = 2 * reach + 1
    inked = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    # In the middle of the map, away from its frame, tools and words.
    height, width = inked.shape
    inked = inked[height // 6 : -height // 6, width // 6 : -width // 6]
    found = []
    for row, column in (np.argwhere(inked == inked.min())[0], np.argwhere(inked == inked.max())[0]):
        x, y = column + width // 6 + reach, row + height // 6 + reach
        found.append((box["x"] + float(x), box["y"] + float(y)))
    return found


def test_in_the_empty_sea_of_a_umap_the_map_is_told_of_and_no_density(page, app_server):
    open_lab(page, app_server.url, MNIST)
    facts = page.locator(".lab-truth")
    density, words = page.locator("[data-fact=density]"), page.locator("[data-fact=map]")
    expect(facts).to_have_attribute("data-empty", "false")
    expect(density).to_contain_text(re.compile(r"^Density among encoded images.*percentile"))
    sea, land = emptiest_and_fullest(page)
    page.mouse.move(*sea)
    expect(facts).to_have_attribute("data-empty", "true", timeout=PATIENCE)
    expect(words).to_contain_text(
        re.compile(
            r"No image lies near here on the map\s*What you see is a blend of the nearest images' "
            r"codes: \d"
        )
    )
    expect(density).to_be_hidden()
    expect(page.locator("[data-fact=radius] dt")).to_contain_text("The blend’s")
    page.mouse.move(*land)
    expect(facts).to_have_attribute("data-empty", "false", timeout=PATIENCE)
    expect(density).to_contain_text(re.compile(r"^The blend’s density.*percentile"))
    expect(words).to_be_hidden()
    # Back at the pin the code is its own.
    page.locator(".lab-buttons").hover()
    expect(density).to_contain_text(re.compile(r"^Density"), timeout=PATIENCE)

    # The marker is dragged into the sea: what is read there stays when it is let go.
    box = page.locator(".lab-marker").bounding_box()
    run = run_number(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(*sea, steps=8)
    expect(facts).to_have_attribute("data-empty", "true", timeout=PATIENCE)
    page.mouse.up()
    click_through(page, run)
    page.locator(".lab-buttons").hover()
    expect(words).to_be_visible()
    expect(page.locator("[data-fact=spot] b")).to_have_text("approximate (UMAP)")
    # On a plane through the latent space the same code is exact, and has a density.
    page.locator(".lab-view-choice").select_option("principal")
    expect(page.locator("[data-fact=spot] b")).to_have_text("exact", timeout=PATIENCE)
    expect(facts).to_have_attribute("data-empty", "false", timeout=PATIENCE)
    expect(density).to_contain_text(re.compile(r"^Density among encoded images.*percentile"))


def test_on_the_latent_plane_every_position_has_its_own_density(page, app_server):
    open_lab(page, app_server.url, PLANE)
    facts, density = page.locator(".lab-truth"), page.locator("[data-fact=density]")
    box = page.locator(".lab-map").bounding_box()
    corner = (box["x"] + 0.95 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.move(*corner)
    expect(density).to_contain_text("below the 1st percentile", timeout=PATIENCE)
    expect(density.locator(".lab-badge")).to_have_text("sparse")
    expect(facts).to_have_attribute("data-empty", "false")
    expect(page.locator("[data-fact=spot] b")).to_have_text("exact")


def test_a_pinned_encoded_image_is_exact_and_has_its_own_density(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    point, run = lonely_point(page), run_number(page)
    page.mouse.click(point["x"], point["y"])
    click_through(page, run)
    page.locator(".lab-buttons").hover()
    expect(page.locator("[data-fact=spot] b")).to_have_text("exact", timeout=PATIENCE)
    expect(page.locator("[data-fact=nearest] dd")).to_contain_text("distance 0")
    expect(page.locator("[data-fact=density]")).to_contain_text(
        re.compile(r"^Density among encoded images.*percentile")
    )
    # A slider moves the code away: it has no position of its own on a UMAP.
    drag(page, axes(page)[0], 0.5, 0.6)
    expect(page.locator("[data-fact=spot] b")).to_have_text("approximate (UMAP)")


@pytest.mark.parametrize("name", [DIGITS, PLANE])
def test_a_click_pins_and_the_sliders_glide_to_the_code(name, page, app_server, opened):
    open_lab(page, app_server.url, name)
    point, run, start = lonely_point(page), run_number(page), latents(page)
    axis = axes(page)[0]
    record(page, f"Number(root.querySelector('#lab-axis-{axis}').value)")
    page.mouse.click(point["x"], point["y"])
    click_through(page, run)
    way = recorded(page)
    code = opened(name).encodings.mean[point["row"]]
    assert (latents(page) == code).all()
    assert len(way) > 3
    towards = np.sign(code[axis] - start[axis])
    assert (np.diff(way) * towards > 0).all()
    # The marker stays at the point itself.
    np.testing.assert_allclose(marker_point(page), [point["x"], point["y"]], atol=0.5)
    assert_picture_is_decoded(page, SHIPPED / name)
    for row in lab(page, "lab.data.axes"):
        entry = page.locator(f".lab-axis[data-axis='{row['index']}'] .lab-number")
        assert float(entry.input_value()) == pytest.approx(code[row["index"]], abs=6e-4)

    spot, run = empty_spots(page, 3)[1], run_number(page)
    page.mouse.click(spot["x"], spot["y"])
    click_through(page, run)
    place = np.array(spot["place"], np.float32)
    expected = opened(name).view("map").spot_codes.codes(place[None])[0]
    np.testing.assert_allclose(latents(page), expected, atol=1e-4)
    np.testing.assert_allclose(marker_point(page), [spot["x"], spot["y"]], atol=1)
    assert_picture_is_decoded(page, SHIPPED / name)


@pytest.mark.parametrize("name", [DIGITS, PLANE])
def test_the_marker_is_dragged_over_the_map_and_the_picture_follows(name, page, app_server):
    open_lab(page, app_server.url, name)
    run, seen = run_number(page), [picture(page)]
    spots = empty_spots(page, 8)
    page.mouse.move(*marker_point(page))
    page.mouse.down()
    for spot in spots:
        page.mouse.move(spot["x"], spot["y"], steps=3)
        seen.append(wait_for_other_picture(page, seen[-1]))
        assert run_number(page) == run
    np.testing.assert_allclose(marker_point(page), [spots[-1]["x"], spots[-1]["y"]], atol=1)
    page.mouse.up()
    click_through(page, run)
    assert len({shown.tobytes() for shown in seen}) > 6
    np.testing.assert_allclose(marker_point(page), [spots[-1]["x"], spots[-1]["y"]], atol=1)
    assert_picture_is_decoded(page, SHIPPED / name)
    # Escape goes back to where it was dragged from.
    dragged, run = latents(page), run_number(page)
    page.locator(".lab-map").focus()
    page.keyboard.press("Escape")
    click_through(page, run)
    assert (latents(page) != dragged).any()
    assert (picture(page) == seen[0]).all()


def test_escape_during_a_drag_puts_the_marker_back(page, app_server):
    open_lab(page, app_server.url, PLANE)
    start, before = marker_point(page), latents(page)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 90, start[1] - 40, steps=4)
    wait_for(page, "lab.latents[0] !== lab.settled[0]")
    page.keyboard.press("Escape")
    page.mouse.up()
    wait_for_lab(page)
    assert (latents(page) == before).all()
    np.testing.assert_allclose(marker_point(page), start, atol=0.5)
    assert_picture_is_decoded(page, SHIPPED / PLANE)
    assert lab(page, "lab.history.length") == 0


@pytest.mark.parametrize("name", [DIGITS, PLANE])
def test_keys_on_the_map_move_look_pin_and_go_back(name, page, app_server):
    open_lab(page, app_server.url, name)
    surface = page.locator(".lab-map")
    surface.focus()
    start, first = marker_point(page), latents(page)
    for key, step in zip(KEYS, [(-10, 0), (10, 0), (0, -10), (0, 10)], strict=True):
        at, run, fine = marker_point(page), run_number(page), key == "ArrowUp"
        page.keyboard.press(f"Shift+{key}" if fine else key)
        click_through(page, run)
        moved = np.subtract(marker_point(page), at)
        np.testing.assert_allclose(moved, np.multiply(step, 0.1 if fine else 1), atol=0.6)
        assert_picture_is_decoded(page, SHIPPED / name)
    for _ in range(4):
        run = run_number(page)
        page.keyboard.press("Escape")
        click_through(page, run)
    assert (latents(page) == first).all()
    np.testing.assert_allclose(marker_point(page), start, atol=1)

    # Alt looks without pinning, as the pointer does; Enter pins what it looks at.
    for _ in range(3):
        page.keyboard.press("Alt+ArrowRight")
    wait_for(page, "root.dataset.ghost === 'true' && lab.link.quiet")
    assert (latents(page) == first).all()
    looked = lab(page, "Array.from(map.cursor)")
    page.keyboard.press("Escape")
    wait_for(page, "root.dataset.ghost === 'false'")
    for _ in range(3):
        page.keyboard.press("Alt+ArrowRight")
    wait_for(page, "root.dataset.ghost === 'true' && lab.link.quiet")
    np.testing.assert_allclose(lab(page, "Array.from(map.cursor)"), looked)
    run = run_number(page)
    page.keyboard.press("Enter")
    click_through(page, run)
    assert (latents(page) != first).any()
    assert_picture_is_decoded(page, SHIPPED / name)


def test_a_card_by_the_keyboard(page, app_server):
    open_lab(page, app_server.url, PLANE)
    page.locator(".lab-map").focus()
    # There are 10,000 points on this plane, so the way to one is short.
    for _ in range(60):
        page.keyboard.press("Alt+Shift+ArrowRight")
        if lab(page, "map.hovered") is not None:
            break
    expect(page.locator(".lab-card")).to_be_visible(timeout=PATIENCE)
    row, run = lab(page, "map.hovered"), run_number(page)
    page.keyboard.press("Enter")
    click_through(page, run)
    code = OpenedModel(SHIPPED / PLANE).encodings.mean[row]
    assert (latents(page) == code).all()


@pytest.mark.parametrize("name", [DIGITS, MNIST])
def test_a_slider_moves_the_marker_which_leaves_a_trail_that_fades(name, page, app_server, opened):
    open_lab(page, app_server.url, name)
    axis = axes(page)[0]
    view, places = opened(name).view("map"), []
    page.mouse.move(*point_on_slider(page, axis, 0.5))
    page.mouse.down()
    for share in np.linspace(0.5, 0.95, 12):
        page.mouse.move(*point_on_slider(page, axis, share))
        wait_for(page, "lab.link.slots.pinned.quiet")
        place = np.array(lab(page, "map.place.slice(0, 2)"), np.float32)
        # From code to spot: the server's placement among its latent neighbours' places.
        np.testing.assert_allclose(place, view.place(latents(page)[None])[0], atol=1e-3)
        places.append(tuple(place))
    assert len(set(places)) > 6
    trail = lab(page, "map.trail.length")
    assert trail > 3
    run = run_number(page)
    page.mouse.up()
    wait_for_run(page, run + 1)
    wait_for(page, "map.trail.length < 2")
    # Nothing of it is left on the map.
    wait_for(page, "map.trail.length === 0")
    assert lab(page, "[map.trail.canvas.width, getComputedStyle(map.trail.canvas).visibility]") == [
        0,
        "hidden",
    ]


def test_the_trail_is_painted_and_fades(page, app_server):
    open_lab(page, app_server.url, PLANE)
    axis = axes(page)[0]
    record(
        page,
        """[map.trail.length, map.trail.length > 1 ? (() => {
          const spot = map.pixel(map.trail.steps[0].place);
          const box = map.box.getBoundingClientRect();
          const seen = map.trail.canvas.getBoundingClientRect();
          if (!seen.width) return 0;
          const { data } = map.trail.canvas.getContext('2d').getImageData(
            Math.round(spot.x + box.left - seen.left) - 1,
            Math.round(spot.y + box.top - seen.top) - 1, 3, 3);
          return Math.max(...data.filter((_, at) => at % 4 === 3));
        })() : 0]""",
    )
    drag(page, axis, 0.5, 0.95, steps=20)
    wait_for(page, "map.trail.length < 2")
    inked = [ink for length, ink in recorded(page) if length > 1]
    assert max(inked) > 60
    assert inked[-1] < max(inked)


def test_a_drag_of_the_map_pins_nothing_and_moves_it(page, app_server):
    open_lab(page, app_server.url, PLANE)
    before, run, at = latents(page), run_number(page), lab(page, "map.range")
    spot = empty_spots(page, 3)[0]
    page.mouse.move(spot["x"], spot["y"])
    page.mouse.down()
    page.mouse.move(spot["x"] + 80, spot["y"] + 30, steps=5)
    page.mouse.up()
    wait_for(page, "!map.moving && map.range[0][0] !== arg", at[0][0])
    wait_for_lab(page)
    assert (latents(page) == before).all()
    assert run_number(page) == run
    # The marker moved with the map: its slider is where it was.
    expect(slider(page, axes(page)[0])).to_be_visible()
    np.testing.assert_allclose(lab(page, "map.place.slice(0, 2)"), before, atol=1e-5)
