"""Other maps of the same codes: planes, three dimensions, colours, zoom, and without WebGL."""

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.latent.planes import principal_plane
from explorer.live.model import OpenedModel
from explorer.live.values import find_values
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.plots.palette import class_colours
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    assert_picture_is_decoded,
    axes,
    click_through,
    drag,
    empty_spots,
    expect_status,
    hover,
    lab,
    latents,
    lonely_point,
    marker_point,
    open_lab,
    pixels_of,
    run_number,
    screenshot,
    wait_for,
    wait_for_lab,
)

DIGITS, MNIST, PLANE = "digits-vae-8", "mnist-vae-16", "mnist-vae-2"

NO_WEBGL = """() => {
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return /webgl/.test(kind) ? null : getContext.call(this, kind, ...rest);
  };
}"""


@pytest.fixture(scope="module")
def digits():
    """The digits as the server opens them."""
    return OpenedModel(SHIPPED / DIGITS)


def choose_view(page, value, name=None):
    """Pick a map, and wait until it is painted; its name is the choice's unless one is given."""
    page.locator(".lab-view-choice").select_option(value)
    wait_for_view(page, name or value)


def wait_for_view(page, name):
    wait_for(page, "root.dataset.view === arg && !map.moving && map.layer.glide === 1", name)
    wait_for_lab(page)


def choose_colour(page, value):
    page.locator(".lab-colour-choice").select_option(value)
    wait_for(page, "lab.colour === arg && lab.colouring.key === arg", value)


def act(page, name):
    page.locator(f"[data-do='{name}']").click()


def places_of(page):
    dims = lab(page, "map.points.dims")
    flat = lab(page, "Array.from(map.points.places)")
    return np.array(flat, np.float32).reshape(-1, dims)


def share_inked(page, name):
    """How much of one of the map's 2-D canvases is not empty."""
    return float((pixels_of(page, f".lab-{name}")[..., 3] > 0).mean())


def circle_inked(page, radius):
    """How much of the circle of this radius around z = 0 is drawn, of what is in view."""
    return lab(
        page,
        """(() => {
          const { plane } = map.points, many = 90;
          const middle = plane.basis.map((row) => -row
            .reduce((sum, value, axis) => sum + value * plane.centre[axis], 0));
          const context = map.over.getContext('2d');
          let inked = 0, all = 0;
          for (let step = 0; step < many; step += 1) {
            const angle = (2 * Math.PI * step) / many;
            const spot = map.pixel([middle[0] + arg * Math.cos(angle),
              middle[1] + arg * Math.sin(angle)]);
            if (!spot.inside) continue;
            all += 1;
            const [x, y] = [spot.x, spot.y].map((at) => Math.round(at * map.ratio));
            inked += context.getImageData(x, y, 1, 1).data[3] > 100;
          }
          return inked / all;
        })()""",
        radius,
    )


def test_any_two_latent_axes_make_an_exact_map_with_circles_and_decodings(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    first, second, third = axes(page)[:3]
    codes = digits.encodings.mean
    expect(page.locator("[data-fact=spot] b")).to_have_text("approximate (UMAP)")
    expect(page.locator("[data-do=tiles]")).to_be_disabled()
    choose_view(page, "axes", f"axes:{first},{second}")
    np.testing.assert_allclose(places_of(page), codes[:, [first, second]], atol=1e-6)
    expect(page.locator("[data-fact=spot] b")).to_have_text("exact")
    for select, axis in ((".lab-axis-x", first), (".lab-axis-y", second)):
        expect(page.locator(select)).to_have_value(str(axis))
    titles = page.locator(".lab-plot .xtitle, .lab-plot .ytitle").all_text_contents()
    assert sorted(titles) == sorted([f"z{first + 1}", f"z{second + 1}"])
    wait_for(page, "!!map.tiles")
    for radius in (1, 2, 3):
        assert circle_inked(page, radius) > 0.95, radius
        assert circle_inked(page, radius - 0.5) < 0.6, radius

    # A tile is what the decoder draws at its middle, through the pinned code.
    assert_tiles(page, digits, [first, second])
    assert share_inked(page, "under") > 0.1
    act(page, "tiles")
    wait_for(page, "!map.tiles && !map.wanted.size")
    assert share_inked(page, "under") == 0
    act(page, "tiles")
    wait_for(page, "!!map.tiles")

    # The pin leaves the plane: the marker stays, the decodings follow.
    at = marker_point(page)
    before = lab(page, "map.tiles[0].canvas.toDataURL()")
    drag(page, third, 0.5, 0.9)
    np.testing.assert_allclose(marker_point(page), at, atol=0.5)
    wait_for(page, "map.tiles[0].canvas.toDataURL() !== arg", before)
    assert_tiles(page, digits, [first, second])

    # Every spot is a code: it is looked at and pinned without a detour.
    spot, pin = empty_spots(page, 5)[2], latents(page)
    hover(page, spot["x"], spot["y"])
    moved = pin.copy()
    moved[[first, second]] = spot["place"]
    ghost = np.array(lab(page, "Array.from(lab.ghostCode)"), np.float32)
    np.testing.assert_allclose(ghost, moved, atol=1e-4)
    assert_decoded(pixels_of(page, ".lab-ghost"), SHIPPED / DIGITS, ghost)
    run = run_number(page)
    page.mouse.click(spot["x"], spot["y"])
    click_through(page, run)
    np.testing.assert_allclose(latents(page), moved, atol=1e-4)
    np.testing.assert_allclose(marker_point(page), [spot["x"], spot["y"]], atol=1)
    assert_picture_is_decoded(page, SHIPPED / DIGITS)

    # Other axes; two like ones make no plane, so the other one steps aside.
    page.locator(".lab-axis-x").select_option(str(third))
    wait_for_view(page, f"axes:{third},{second}")
    page.locator(".lab-axis-y").select_option(str(third))
    wait_for_view(page, f"axes:{first},{third}")
    np.testing.assert_allclose(places_of(page), codes[:, [first, third]], atol=1e-6)
    # A map is a settled change too.
    act(page, "undo")
    wait_for_view(page, f"axes:{third},{second}")
    act(page, "redo")
    wait_for_view(page, f"axes:{first},{third}")


def assert_tiles(page, model, plane):
    """The decodings under the map are those of the pin, moved in the plane of two axes."""
    wait_for(page, "lab.link.quiet && !map.moving")
    tile, boxed, text = lab(
        page,
        """(() => {
          const { box, canvas } = map.tiles[Math.floor(map.tiles.length / 2)];
          const { data } = canvas.getContext('2d')
            .getImageData(0, 0, canvas.width, canvas.height);
          return [[canvas.height, canvas.width], box, Array.from(data)];
        })()""",
    )
    code = latents(page)
    code[plane] = (boxed["left"] + boxed["right"]) / 2, (boxed["low"] + boxed["high"]) / 2
    grey = Codec.from_folder(model.folder).decode_pixels(code[None])[0][..., 0].astype(float)
    ground = 255 * model.config.data.background
    ink = 255 * np.abs(grey - ground) / max(ground, 255 - ground)
    shown = np.array(text, float).reshape(*tile, 4)[..., 3]
    np.testing.assert_allclose(shown, ink, atol=3)


def test_principal_axes_and_three_dimensions_by_a_switch(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    codes = digits.encodings.mean
    choose_view(page, "principal")
    np.testing.assert_allclose(places_of(page), principal_plane(codes).places(codes), atol=1e-4)
    expect(page.locator("[data-fact=spot] b")).to_have_text("exact")
    wait_for(page, "!!map.tiles")
    assert circle_inked(page, 2) > 0.95
    solid = page.locator("[data-do=solid]")
    for flat, view in (("principal", "principal-3d"), ("map", "map-3d")):
        choose_view(page, flat)
        expect(solid).to_have_attribute("aria-pressed", "false")
        solid.click()
        wait_for_view(page, view)
        expect(solid).to_have_attribute("aria-pressed", "true")
        assert lab(page, "root.dataset.dims") == "3"
        assert lab(page, "map.plot.data[0].x.length") == len(codes)
    np.testing.assert_allclose(places_of(page), digits.projection.coordinates_3d, atol=1e-6)
    assert page.locator(".lab-marker").is_hidden()
    # The pin is there too, among its latent neighbours.
    wait_for(page, "map.plot.data[1].x[0] !== null")
    # The keyboard turns it and comes nearer.
    eye = "Object.values(map.solid.eye())"
    page.locator(".lab-map").focus()
    for key in ("ArrowRight", "ArrowUp", "+"):
        before = lab(page, eye)
        page.keyboard.press(key)
        wait_for(page, f"String({eye}) !== String(arg)", before)
    page.keyboard.press("0")
    wait_for(page, f"{eye}.every((value) => Math.abs(value - 1.25) < 1e-3)")
    # So does the mouse, and a point can be looked at and pinned.
    box = page.locator(".lab-map").bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 90, middle[1] + 20, steps=5)
    # Plotly looks at the mouse once a frame.
    wait_for(page, f"{eye}.some((value) => Math.abs(value - 1.25) > 1e-2)")
    page.mouse.up()
    row = hover_a_solid_point(page)
    expect(page.locator(".lab-card")).to_be_visible(timeout=PATIENCE)
    run = run_number(page)
    page.mouse.down()
    page.mouse.up()
    click_through(page, run)
    assert (latents(page) == codes[row]).all()
    solid.click()
    wait_for_view(page, "map")
    expect(page.locator(".lab-marker")).to_be_visible()


def hover_a_solid_point(page):
    """Move the mouse over the 3-D map until it is on a point; returns the point's row."""
    box = page.locator(".lab-map").bounding_box()
    for up in np.linspace(0.3, 0.7, 12):
        for across in np.linspace(0.3, 0.7, 24):
            page.mouse.move(box["x"] + across * box["width"], box["y"] + up * box["height"])
            page.evaluate("() => new Promise(requestAnimationFrame)")
            row = lab(page, "map.hovered ?? null")
            if row is not None:
                return row
    raise AssertionError("no point of the 3-D map was found under the mouse")


def test_points_are_coloured_by_all_that_is_known(page, app_server, checkpoints, data_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_DATA", str(data_folder))
        open_lab(page, app_server.url, "sprites")
        model = OpenedModel(checkpoints / "sprites")
        wait_for(page, "lab.factors.length > 0")
        values = page.locator(".lab-colour-choice option").evaluate_all(
            "(options) => options.map((option) => option.value)"
        )
        kinds = {value.split("-")[0] for value in values}
        assert kinds == {"class", "density", "reconstruction", "kl", "factor", "axis"}
        factors = [value for value in values if value.startswith("factor")]
        assert len(factors) > 2
        seen, choices = {screenshot(page, ".lab-points").tobytes()}, []
        for value in [*values[1:4], *factors[:3], "axis-1"]:
            choose_colour(page, value)
            known = find_values(model, value)
            legend = page.locator(".lab-legend")
            wait_for(page, "!map.wanted.size")
            seen.add(screenshot(page, ".lab-points").tobytes())
            choices.append(known.choices)
            if known.choices:
                shown = np.array(lab(page, "Array.from(lab.colouring.labels)"))
                assert (shown == known.numbers).all()
                counts = np.bincount(known.numbers.astype(int), minlength=len(known.choices))
                words = [f"{name}{n}" for name, n in zip(known.choices, counts, strict=True) if n]
                assert legend.locator(".lab-pick").all_text_contents() == words
            else:
                shown = np.array(lab(page, "Array.from(lab.colouring.values)"), np.float32)
                np.testing.assert_allclose(shown, known.numbers, rtol=1e-3, atol=1e-2)
                expect(legend).to_contain_text(known.title)
                expect(legend).to_contain_text(known.unit)
                expect(legend.locator(".lab-ramp")).to_be_visible()
        # The class is one of the factors, and of a like colour.
        assert len(seen) >= 7
        assert any(choices)
        # A colour is a settled change too.
        act(page, "undo")
        wait_for(page, "lab.colouring.key === arg", factors[2])
        expect(page.locator(".lab-colour-choice")).to_have_value(factors[2])


def test_a_colour_that_cannot_be_measured_is_told_and_the_old_one_stays(
    page, app_server, expected_errors
):
    expected_errors.append("422")
    open_lab(page, app_server.url, PLANE)
    page.once("dialog", lambda dialog: dialog.dismiss())
    choose_colour(page, "kl")
    page.locator(".lab-colour-choice").select_option("reconstruction")
    expect_status(page, "not at hand")
    wait_for(page, "lab.colouring.key === lab.colour")
    expect(page.locator(".lab-colour-choice")).to_have_value("kl")
    expect(page.locator(".lab-legend")).to_contain_text("KL")


def test_the_legend_hides_a_class_and_shows_it_again(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    counts = np.bincount(digits.encodings.labels, minlength=10)
    keys = page.locator(".lab-key")
    for label, key in enumerate(keys.all()):
        expect(key.locator(".lab-pick")).to_have_text(f"{label}{counts[label]}")
    colours = lab(page, "lab.colouring.colours")
    assert colours == list(class_colours(10))
    shown = screenshot(page, ".lab-map")
    swatch = keys.nth(3).locator(".lab-swatch")
    point = lab(
        page,
        """(() => {
          const box = map.box.getBoundingClientRect(), row = lab.labels.indexOf(3);
          const spot = map.pixel(map.placeOf(row));
          return [box.left + spot.x, box.top + spot.y];
        })()""",
    )
    swatch.click()
    expect(swatch).to_have_attribute("aria-pressed", "false")
    page.locator(".lab-hint").hover()
    wait_for(page, "!map.wanted.size")
    assert (screenshot(page, ".lab-map") != shown).any()
    # What is hidden is not found by the pointer.
    hover(page, *point)
    assert lab(page, "map.hovered === undefined || lab.labels[map.hovered] !== 3")
    swatch.press("Enter")
    expect(swatch).to_have_attribute("aria-pressed", "true")
    page.locator(".lab-hint").hover()
    wait_for(page, "!map.wanted.size && root.dataset.ghost === 'false'")
    again = screenshot(page, ".lab-map").astype(int)
    assert np.abs(again - shown).max() <= 2  # where points' rims overlap, rounding may differ


def test_two_hundred_classes_have_a_legend(page, app_server):
    open_lab(page, app_server.url, "many")
    keys = page.locator(".lab-key")
    expect(keys).to_have_count(200)
    assert len(set(lab(page, "lab.colouring.colours"))) == 200
    assert keys.last.locator(".lab-pick").inner_text().split() == ["kind", "1992"]
    keys.last.locator(".lab-pick").click()
    wait_for(page, "lab.selections.A?.summary?.count === 2")
    map_box = page.locator(".lab-map").bounding_box()
    assert map_box["y"] + map_box["height"] <= 900
    assert page.locator(".lab-legend").bounding_box()["height"] < 80


def test_zoomed_in_the_points_become_their_images(page, app_server, digits):
    open_lab(page, app_server.url, DIGITS)
    assert lab(page, "map.images") is None
    before, at = lab(page, "map.span()"), lonely_point(page)
    page.mouse.move(at["x"], at["y"])
    spot = lab(page, "map.spotAt(...arg)", [at["x"], at["y"]])
    while not lab(page, "!!map.images"):
        span = lab(page, "map.span()")
        page.mouse.wheel(0, -240)
        wait_for(page, "map.span() < arg && !map.moving && lab.link.quiet", span)
        wait_for(page, "!!map.images || map.span() > 0.5 * arg", before)
    # The wheel zooms where the pointer is.
    np.testing.assert_allclose(
        lab(page, "map.spotAt(...arg)", [at["x"], at["y"]]), spot, atol=0.02 * before
    )
    images = lab(page, "map.images.list.length")
    assert 0 < images <= 400
    wait_for(page, "!map.wanted.size")
    row, shape, data = lab(
        page,
        """(() => {
          const { row, canvas } = map.images.list[0];
          const { data } = canvas.getContext('2d')
            .getImageData(0, 0, canvas.width, canvas.height);
          return [row, [canvas.height, canvas.width], Array.from(data)];
        })()""",
    )
    shown = np.array(data, np.uint8).reshape(*shape, 4)[..., 0]
    assert shown.tobytes() == digits.picture(row).pixels
    assert share_inked(page, "over") > 0.005
    page.locator(".lab-map").focus()
    page.keyboard.press("0")
    wait_for(page, "!map.images && !map.moving && !map.wanted.size")


def test_zoom_by_keys_and_buttons_and_the_density_is_shaded(page, app_server):
    open_lab(page, app_server.url, "crowd")
    # Zoomed out, 30,000 points are shaded by themselves.
    assert lab(page, "!!map.shade")
    assert share_inked(page, "under") > 0.05
    surface = page.locator(".lab-map")
    surface.focus()
    place = lab(page, "map.place.slice(0, 2)")
    for action, key, nearer in (("zoom-in", "+", True), ("zoom-out", "-", False)):
        for how in (lambda a=action: act(page, a), lambda k=key: surface.press(k)):
            span = lab(page, "map.span()")
            how()
            wait_for(page, f"map.span() {'<' if nearer else '>'} arg && !map.moving", span)
            np.testing.assert_allclose(lab(page, "map.place.slice(0, 2)"), place)
    while lab(page, "map.rowsInView(1).total") > 20_000:
        span = lab(page, "map.span()")
        surface.press("+")
        wait_for(page, "map.span() < arg && !map.moving", span)
    assert not lab(page, "!!map.shade")
    # By hand as well.
    act(page, "shade")
    wait_for(page, "!!map.shade && !map.wanted.size")
    expect(page.locator("[data-do=shade]")).to_have_attribute("aria-pressed", "true")
    act(page, "shade")
    wait_for(page, "!map.shade")
    act(page, "home")
    wait_for(page, "map.rowsInView(1).total === map.points.count && !map.moving")
    assert not lab(page, "!!map.shade")


def test_the_whole_map_is_reached_by_keys_when_zoomed_in(page, app_server):
    open_lab(page, app_server.url, PLANE)
    surface = page.locator(".lab-map")
    surface.focus()
    for _ in range(4):
        span = lab(page, "map.span()")
        page.keyboard.press("+")
        wait_for(page, "map.span() < arg && !map.moving", span)
    left = lab(page, "map.range[0][0]")
    # Far enough for the pin to reach the edge of the view.
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
        if lab(page, "map.range[0][0]") < left:
            break
    wait_for(page, "map.range[0][0] < arg", left)
    wait_for_lab(page)
    assert page.locator(".lab-marker").is_visible()


def test_without_webgl_a_plain_canvas_paints_the_points(new_page, app_server):
    page = new_page()
    page.add_init_script(f"({NO_WEBGL})()")
    open_lab(page, app_server.url, PLANE)
    assert lab(page, "map.layer.gl") is None
    expect(page.locator(".lab-shown")).to_contain_text("without WebGL")
    act(page, "tiles")
    wait_for(page, "!map.tiles && !map.wanted.size")
    colours = {tuple(pixel) for pixel in screenshot(page, ".lab-map").reshape(-1, 3)}
    for key in lab(page, "lab.colouring.rgb"):
        assert any(np.abs(np.subtract(colour, key)).max() < 40 for colour in colours), key
    assert share_inked(page, "points") > 0.02
    # It moves, is pinned on and selected from like the other one.
    point, run = lonely_point(page), run_number(page)
    page.mouse.click(point["x"], point["y"])
    click_through(page, run)
    assert lab(page, "map.layer.count") == 10_000
    code = OpenedModel(SHIPPED / PLANE).encodings.mean[point["row"]]
    assert (latents(page) == code).all()
    before, shown = lab(page, "map.span()"), pixels_of(page, ".lab-points")
    page.mouse.wheel(0, -240)
    wait_for(page, "map.span() < arg && !map.moving && !map.wanted.size", before)
    assert (pixels_of(page, ".lab-points") != shown).any()
    page.locator(".lab-key .lab-pick").nth(4).click()
    wait_for(page, "lab.selections.A?.summary?.count > 0")


def test_without_webgl_three_dimensions_are_refused_in_words(new_page, app_server, expected_errors):
    expected_errors.append("WebGL|webgl")
    page = new_page()
    page.add_init_script(f"({NO_WEBGL})()")
    open_lab(page, app_server.url, DIGITS)
    solid = page.locator("[data-do=solid]")
    if solid.is_enabled():
        solid.click()
        expect_status(page, "WebGL")
    else:
        assert "WebGL" in (solid.get_attribute("title") or "")
    wait_for_lab(page)
    assert lab(page, "root.dataset.view") == "map"


def test_a_drawing_context_that_was_taken_away_and_given_back(page, app_server):
    open_lab(page, app_server.url, PLANE)
    page.locator(".lab-hint").hover()
    shown = screenshot(page, ".lab-map")
    page.evaluate(
        """() => { const { layer } = document.querySelector('.lab').lab.map;
          window.taken = layer.gl.getExtension('WEBGL_lose_context');
          window.taken.loseContext(); }"""
    )
    wait_for(page, "map.layer.lost")
    page.evaluate("() => window.taken.restoreContext()")
    wait_for(page, "!map.layer.lost && !map.wanted.size")
    np.testing.assert_array_equal(screenshot(page, ".lab-map"), shown)
