"""Nothing that should be gone stays painted: views, models, themes and the legend, by pixels."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.lab import PATIENCE, choose_model, pixels_of, run_number, screenshot
from tests.browser.painted import (
    MAP,
    assert_painted_alike,
    class_colour,
    ground_colour,
    open_fresh,
    pixels_apart,
    pixels_of_colour,
    readouts,
    record_readouts,
    recorded_readouts,
    shot_of,
    switch_model,
    wait_for_rest,
)

DIGITS, PLANE = "digits-vae-8", "mnist-vae-2"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
PURPLE = 4  # of the digits' classes, the one whose colour no two others mix to
FEW = 0.01  # of a class's pixels may look like it by chance: others mix where they overlap


@pytest.fixture(params=["desktop", "phone"])
def tabs(request, chromium, app_server):
    """Open tabs of a browser of that size; the phone's has touch and no mouse."""
    phone = request.param == "phone"
    context = chromium.new_context(viewport=PHONE if phone else DESK, has_touch=phone)
    yield context.new_page
    context.close()


def show_view(page, value, name=None):
    page.locator(".lab-view-choice").select_option(value)
    wait_for_rest(page, view=name or value)


def press_solid(page, name):
    page.locator("[data-do=solid]").click()
    wait_for_rest(page, view=name)


def fit_principal(page):
    """Fit the map that is quickest to fit; returns its view's name."""
    page.locator("[data-do=fit]").click()
    page.locator(".lab-fit [name=method]").select_option("principal components")
    page.locator(".lab-fit [type=submit]").click()
    page.wait_for_function(
        "() => document.querySelector('.lab').dataset.view?.startsWith('fit:')", timeout=PATIENCE
    )
    page.locator("[data-do=fit]").click()
    wait_for_rest(page)
    return page.locator(".lab").get_attribute("data-view")


def test_a_view_looks_the_same_whichever_view_was_there_before(tabs, app_server):
    page, other = tabs(), tabs()
    open_fresh(page, app_server.url, DIGITS)
    name = axes_view(page)
    fitted = fit_principal(page)
    show_view(page, "map")
    steps = [
        ("map-3d", lambda: press_solid(page, "map-3d")),
        (name, lambda: show_view(page, "axes", name)),
        ("principal-3d", lambda: (show_view(page, "principal"), press_solid(page, "principal-3d"))),
        ("map", lambda: show_view(page, "map")),
        (fitted, lambda: show_view(page, fitted)),
        ("principal", lambda: show_view(page, "principal")),
    ]
    fresh = {}
    for view, step in steps:
        step()
        shown = shot_of(page)
        open_fresh(other, app_server.url, DIGITS, view=view)
        fresh[view] = shot_of(other)
        assert_painted_alike(shown, fresh[view], view)
    # They are different pictures, or the comparison would say nothing.
    views = list(fresh.values())
    for at, one in enumerate(views):
        assert all(pixels_apart(one, two).mean() > 0.002 for two in views[:at])


def axes_view(page):
    """The name of the plane that the choice of two latent axes begins with."""
    rows = page.locator(".lab-axis").evaluate_all("(rows) => rows.map((row) => row.dataset.axis)")
    return f"axes:{rows[0]},{rows[1]}"


@pytest.mark.parametrize("view", ["map", "map-3d", "principal"])
def test_another_model_leaves_no_pixel_of_the_former_one(view, tabs, app_server):
    page, other = tabs(), tabs()
    open_fresh(page, app_server.url, DIGITS, view=view)
    held = []
    page.route("**/points/**", lambda route: held.append(route))
    choose_model(page, "line")
    # The other model's map is on its way: what is painted meanwhile is nobody's.
    page.wait_for_function(
        "() => document.querySelector('.lab').dataset.model === 'line'", timeout=PATIENCE
    )
    while not held:
        page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator(".lab")).to_have_attribute("data-busy", "view", timeout=PATIENCE)
    waiting, ground = screenshot(page, MAP), ground_colour(page)
    inside = waiting[3:-3, 3:-3]
    coloured = np.ptp(inside.astype(int), axis=2) > 60
    assert not coloured.any(), f"{coloured.sum()} coloured pixels of the former map"
    assert (np.abs(inside.astype(int) - ground).max(axis=2) > 60).mean() < 0.02  # "Loading the map"
    told = readouts(page)
    assert {name: value for name, value in told.items() if value and name != "picture"} == {}
    for route in held:
        route.continue_()
    page.unroute("**/points/**")
    wait_for_rest(page, model="line")
    shown = shot_of(page)
    open_fresh(other, app_server.url, "line")
    assert_painted_alike(shown, shot_of(other), "line")
    switch_model(page, DIGITS)
    shown = shot_of(page)
    open_fresh(other, app_server.url, DIGITS)
    assert_painted_alike(shown, shot_of(other), DIGITS)


def test_after_a_switch_every_readout_is_blank_until_it_is_of_the_new_model(page, app_server):
    open_fresh(page, app_server.url, PLANE)
    box = page.locator(MAP).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    wait_for_rest(page, ghost="true")
    for model in (DIGITS, PLANE):
        before = readouts(page)
        for name in ("nearest image", "radius", "legend"):
            assert before[name], name
        record_readouts(page, model)
        switch_model(page, model)
        after = readouts(page)
        seen = recorded_readouts(page)
        assert len(seen) > 1
        for name, value in after.items():
            if name == "picture":  # it glides nowhere, but may be rounded in another batch
                continue
            values = {one[name] for one in seen}
            assert values <= {"", value}, (model, name, values)
        # All that says something is filled again.
        for name in ("spot", "radius", "cycle", "nearest", "nearest image", "legend"):
            assert after[name], name
        assert not after["ghost"]


@pytest.mark.parametrize("view", ["map", "map-3d", "principal"])
def test_the_theme_repaints_the_whole_map(view, tabs, app_server):
    page, other = tabs(), tabs()
    page.emulate_media(color_scheme="light")
    open_fresh(page, app_server.url, DIGITS, view=view)
    other.emulate_media(color_scheme="dark")
    open_fresh(other, app_server.url, DIGITS, view=view)
    light, dark = shot_of(page), shot_of(other)
    grounds = ground_colour(page), ground_colour(other)
    assert pixels_apart(light, dark).mean() > 0.5
    page.emulate_media(color_scheme="dark")
    wait_for_ground(page, grounds[1])
    assert_painted_alike(shot_of(page), dark, f"{view}, dark")
    page.emulate_media(color_scheme="light")
    wait_for_ground(page, grounds[0])
    assert_painted_alike(shot_of(page), light, f"{view}, light")


def wait_for_ground(page, colour):
    """Until Streamlit has changed the theme."""
    page.wait_for_function(
        """(wanted) => {
          const style = getComputedStyle(document.querySelector('.lab'));
          const context = document.createElement('canvas').getContext('2d');
          context.fillStyle = style.getPropertyValue('--st-background-color').trim();
          context.fillRect(0, 0, 1, 1);
          return String([...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]) === String(wanted);
        }""",
        arg=colour,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("view", ["map", "map-3d", "principal"])
def test_no_pixel_of_a_class_that_the_legend_hides(view, tabs, app_server):
    page = tabs()
    open_fresh(page, app_server.url, DIGITS, view=view)
    if view == "principal":
        page.locator("[data-do=tiles]").click()
    colour, ground = class_colour(page, PURPLE), ground_colour(page)
    swatch = page.locator(f".lab-key[data-group='{PURPLE}'] .lab-swatch")
    all_shown = shot_of(page)
    before = pixels_of_colour(all_shown, colour, ground).sum()
    assert before > 300
    swatch.click()
    expect(swatch).to_have_attribute("aria-pressed", "false")
    hidden = shot_of(page)
    assert pixels_of_colour(hidden, colour, ground).sum() <= FEW * before
    # Neither do other views show it, nor a map that one comes back to.
    show_view(page, "principal" if view != "principal" else "map")
    assert pixels_of_colour(shot_of(page), colour, ground).sum() <= FEW * before
    swatch.click()
    expect(swatch).to_have_attribute("aria-pressed", "true")
    assert pixels_of_colour(shot_of(page), colour, ground).sum() > 300
    show_view(page, view.replace("-3d", ""))
    if view.endswith("-3d"):
        press_solid(page, view)
    assert_painted_alike(shot_of(page), all_shown, view)


def test_the_density_is_that_of_the_classes_which_the_legend_shows(tabs, app_server):
    page = tabs()
    open_fresh(page, app_server.url, "crowd")
    page.locator("[data-do=tiles]").click()
    wait_for_rest(page)
    shade = page.locator("[data-do=shade]")
    shaded = shot_of(page)
    shade.click()
    plain = shot_of(page)
    # 30,000 points are shaded by themselves, faintly on a small map.
    assert np.abs(shaded.astype(int) - plain).max() > 3
    for group in range(1, 10):
        page.locator(f".lab-key[data-group='{group}'] .lab-swatch").click()
    alone = shot_of(page)
    shade.click()
    expect(shade).to_have_attribute("aria-pressed", "true")
    dense = shot_of(page)
    painted = np.abs(dense.astype(int) - alone).max(axis=2) > 3
    points = pixels_of_colour(alone, class_colour(page, 0), ground_colour(page))
    assert painted.mean() > 0.001
    assert not (painted & ~grown(points, 40)).any(), "a density where no point is shown"
    # All hidden: nothing is shaded, and nothing of it stays.
    page.locator(".lab-key[data-group='0'] .lab-swatch").click()
    empty = shot_of(page)
    shade.click()
    assert_painted_alike(shot_of(page), empty, "no class")
    assert not pixels_of_colour(empty, class_colour(page, 0), ground_colour(page)).any()


def grown(mask, reach):
    """Where a mask holds within so many pixels along both axes."""
    found = mask.copy()
    for axis in (0, 1):
        total = np.cumsum(found, axis=axis)
        size = mask.shape[axis]
        ends = np.minimum(np.arange(size) + reach, size - 1)
        starts = np.arange(size) - reach - 1
        upto = np.take(total, ends, axis=axis)
        before = np.take(total, np.maximum(starts, 0), axis=axis)
        shape = [1, 1]
        shape[axis] = size
        before = before * (starts >= 0).reshape(shape)
        found = upto > before
    return found


def test_one_latent_axis_is_a_strip_with_one_name_and_an_interval(tabs, app_server):
    page = tabs()
    open_fresh(page, app_server.url, "line")
    words = page.locator(".lab-plot").text_content()
    assert "z1" in words
    assert "z2" not in words
    expect(page.locator("[data-do=tiles]")).to_be_disabled()
    # Zoomed out until the prior's intervals are in view.
    for _ in range(12):
        page.locator("[data-do=zoom-out]").click()
        wait_for_rest(page)
        inked = pixels_of(page, ".lab-over")[..., 3] > 100
        marks = np.flatnonzero(inked.mean(axis=0) > 0.4)
        if len(groups(marks)) == 6:
            break
    lines = groups(marks)
    assert len(lines) == 6, "the ends of 1, 2 and 3 sigma on both sides"
    middles = np.array([np.mean(line) for line in lines])
    steps = np.diff(middles)
    np.testing.assert_allclose(steps[[0, 1, 3, 4]], steps[0], atol=2)
    np.testing.assert_allclose(steps[2], 2 * steps[0], atol=2)
    # No circles: below the marks' names nothing but the marks is drawn.
    between = np.setdiff1d(
        np.arange(inked.shape[1]), np.concatenate([m + d for m, d in spread(marks)])
    )
    assert not inked[60:, between].any()
    page.locator("[data-do=home]").click()
    shown = shot_of(page)
    colours = [class_colour(page, group) for group in (0, 1)]
    rows = np.flatnonzero(
        np.any([pixels_of_colour(shown, one, ground_colour(page)) for one in colours], axis=0).any(
            axis=1
        )
    )
    assert np.ptp(rows) > 0.3 * len(shown), "the points lie on one line and cover each other"
    # The pin stays on the axis, whichever way it is moved.
    marker = page.locator(".lab-marker")
    height = marker.bounding_box()["y"]
    page.locator(MAP).press("ArrowUp")
    page.locator(MAP).press("ArrowRight")
    wait_for_rest(page)
    assert marker.bounding_box()["y"] == height


def spread(marks):
    return [(marks, shift) for shift in range(-4, 5)]


def groups(columns):
    """Neighbouring columns together."""
    return np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1) if len(columns) else []


@pytest.mark.parametrize(
    ("model", "address"),
    [
        ("plain", {}),
        ("plain", {"colour": "class"}),
        ("plain", {"colour": "density"}),
        ("digits-ae-8", {"colour": "kl"}),
        (DIGITS, {"colour": "factor-3"}),
        (PLANE, {"view": "axes:1,0"}),
        ("line", {}),
    ],
)
def test_the_choices_show_what_is_painted(model, address, page, app_server, expected_errors):
    expected_errors.append("422")
    open_fresh(page, app_server.url, model, **address)
    for choice in (".lab-view-choice", ".lab-colour-choice"):
        chosen = page.locator(f"{choice} option:checked")
        expect(chosen).to_have_count(1)
        assert chosen.text_content().strip()
        assert chosen.is_enabled()
    if model == "plain":
        expect(page.locator(".lab-colour-choice option:checked")).to_have_text("One colour")
        expect(page.locator(".lab-colour-choice option", has_text="density")).to_have_count(0)
        painted = pixels_of_colour(shot_of(page), class_colour(page, 0), ground_colour(page))
        assert painted.sum() > 50


def test_selections_run_no_script(page, app_server):
    open_fresh(page, app_server.url, DIGITS)
    run = run_number(page)
    for label in (4, 7):
        page.locator(f".lab-key[data-group='{label}'] .lab-pick").click()
        expect(page.locator(".lab-said")).to_contain_text(f"points of {label}", timeout=PATIENCE)
        wait_for_rest(page)
    page.get_by_role("button", name="Clear selection A").click()
    wait_for_rest(page)
    # What is settled runs it once; had a selection run it, there would be more.
    page.get_by_role("button", name="Prior sample", exact=True).click()
    page.wait_for_function(
        "(run) => Number(document.querySelector('.lab').dataset.run) > run",
        arg=run,
        timeout=PATIENCE,
    )
    wait_for_rest(page)
    assert run_number(page) == run + 1
