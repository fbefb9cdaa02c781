"""For every window, hand and eye: nothing jumps, all fits, keys do all, controls have names."""

from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    assert_picture_is_decoded,
    axes,
    drag,
    empty_spots,
    expect_no_overflow,
    lab,
    latents,
    lonely_point,
    open_lab,
    press,
    record,
    recorded,
    run_number,
    slider,
    wait_for,
    wait_for_idle,
    wait_for_lab,
    wait_for_run,
)

DIGITS, MNIST, PLANE = "digits-vae-8", "mnist-vae-16", "mnist-vae-2"
IDLE_MS = 10_000
TABS = ("Neighbours", "Selection", "Bookmarks", "Export", "Keys")

# Left, top, width and height of map, picture, ghost and the first eight sliders.
BOXES = """['.lab-map', '.lab-picture', '.lab-ghost', '.lab-sliders', '.lab-drawer',
  ...lab.data.axes.slice(0, 8).map((axis) => `#lab-axis-${axis.index}`)]
  .map((selector) => {
    const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
    return [selector, x, y, width, height];
  })"""


def reach_all(page):
    """Unfold, open and show all that the lab has, so that every control is on the page."""
    page.locator(".lab-more").click()
    page.get_by_role("button", name="Strips", exact=True).click()
    page.locator(".lab-key .lab-pick").first.click()
    wait_for(page, "!!lab.selections.A?.pictureOfMean")
    page.get_by_role("button", name="Selection B").click()
    page.locator(".lab-key .lab-pick").nth(1).click()
    wait_for(page, "!!lab.selections.B?.pictureOfMean")
    page.get_by_role("tab", name="Bookmarks").click()
    page.get_by_role("button", name="Bookmark the pinned code").click()
    page.locator(".lab-view-choice").select_option("axes")
    wait_for(page, "root.dataset.view.startsWith('axes:')")
    page.locator("[data-do=fit]").click()
    wait_for_lab(page)


def test_every_control_has_a_name_for_a_screen_reader(page, app_server):
    open_lab(page, app_server.url, MNIST)
    reach_all(page)
    controls = 0
    session = page.context.new_cdp_session(page)
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        wait_for_lab(page)
        # What the browser itself tells a screen reader.
        session.send("Accessibility.enable")
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        roles = {
            "button", "combobox", "slider", "spinbutton", "textbox", "tab", "tabpanel", "img",
            "image", "application", "progressbar", "meter", "toolbar", "tablist", "listbox",
        }  # fmt: skip
        told = [node for node in nodes if node.get("role", {}).get("value") in roles]
        mute = [
            node["role"]["value"]
            for node in told
            if not node["ignored"] and not node.get("name", {}).get("value", "").strip()
        ]
        assert mute == []
        controls = max(controls, len(told))
    assert controls > 60
    names = page.locator(".lab button:visible").evaluate_all(
        "(buttons) => buttons.map((one) => one.getAttribute('aria-label') || one.textContent)"
    )
    assert len(set(names)) == len(names), "two buttons that can be seen bear one name"
    # Its canvases are pictures with a name, or decoration that is told to nobody.
    bare = page.evaluate(
        """() => [...document.querySelectorAll('.lab canvas')].filter((one) => one.checkVisibility()
          && one.getAttribute('role') !== 'img'
          && !one.closest('[aria-hidden=true], button, figure, [data-fact]'))
          .map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert bare == []


def test_the_tab_key_reaches_every_control_and_shows_where_it_is(page, app_server):
    open_lab(page, app_server.url, MNIST)
    # The neighbours come after the map, a button each.
    wait_for(page, "root.querySelectorAll('.lab-thumb').length === 12")
    reachable = page.evaluate(
        """() => [...document.querySelectorAll(
          '.lab button, .lab input, .lab select, .lab [tabindex]')]
          .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0).length"""
    )
    page.locator(".lab-view-choice").focus()
    seen, bare = [], []
    for _ in range(reachable + 5):
        found = page.evaluate(
            """() => {
              const one = document.activeElement, style = getComputedStyle(one);
              window.focused ??= [];
              if (!one.closest('.lab') || window.focused.includes(one)) return null;
              window.focused.push(one);
              return [one.outerHTML.slice(0, 100), style.outlineStyle, style.outlineWidth];
            }"""
        )
        if found is None:
            break
        seen.append(found[0])
        if found[1] == "none" or found[2] == "0px":
            bare.append(found[0])
        page.keyboard.press("Tab")
    assert len(seen) == reachable
    # The first was focused by hand, which shows no ring.
    assert [one for one in bare if one != seen[0]] == []


def test_the_keyboard_alone_uses_the_bar_the_drawer_and_the_sliders(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    # Choices.
    page.locator(".lab-view-choice").focus()
    page.keyboard.press("ArrowDown")
    wait_for(page, "root.dataset.view === 'principal'")
    page.keyboard.press("ArrowUp")
    wait_for(page, "root.dataset.view === 'map'")
    page.locator(".lab-colour-choice").focus()
    page.keyboard.press("ArrowDown")
    wait_for(page, "lab.colouring.key === 'density'")
    page.keyboard.press("ArrowUp")
    wait_for(page, "lab.colouring.key === 'class'")
    # The form of fits opens, takes the focus and gives it back.
    fit = page.locator("[data-do=fit]")
    fit.press("Enter")
    expect(page.locator(".lab-fit [name=method]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".lab-fit")).to_be_hidden()
    expect(fit).to_be_focused()
    # Tabs.
    page.get_by_role("tab", name="Neighbours").focus()
    for tab in [*TABS[1:], TABS[0]]:
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=tab)).to_be_focused()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert page.locator(".lab-sheet:visible").count() == 1
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tabpanel", name="Keys")).to_contain_text("Arrows on the map")
    # Tools and buttons.
    for tool in ("select", "lasso", "pan"):
        page.locator(f"[data-tool={tool}]").press("Enter")
        expect(page.locator(f"[data-tool={tool}]")).to_have_attribute("aria-pressed", "true")
    solid = page.locator("[data-do=solid]")
    solid.press("Space")
    wait_for(page, "root.dataset.dims === '3'")
    solid.press("Space")
    wait_for(page, "root.dataset.dims === '2'")
    for name in ("Prior sample", "Undo", "Redo", "Mean code"):
        run = run_number(page)
        page.get_by_role("button", name=name, exact=True).press("Enter")
        wait_for_run(page, run + 1)
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
    # Nothing of it moved the page.
    assert page.evaluate("() => scrollY") == 0


def test_a_point_of_the_solid_map_is_pinned_by_the_keyboard(page, app_server):
    """What a click does in three dimensions, keys can do as well."""
    open_lab(page, app_server.url, DIGITS, view="map-3d")
    before, run = latents(page), run_number(page)
    page.locator(".lab-map").focus()
    page.keyboard.press("Alt+ArrowRight")
    wait_for(page, "map.hovered !== undefined")
    expect(page.locator(".lab-card")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Enter")
    wait_for_run(page, run + 1)
    assert (latents(page) != before).any()


@pytest.mark.parametrize("name", [MNIST, DIGITS])
def test_nothing_jumps_and_all_that_matters_fits_a_laptop(name, page, app_server):
    open_lab(page, app_server.url, name)
    # From the very first picture on: what comes in later has its room already.
    record(page, BOXES)
    boxes = lab(page, BOXES)
    for selector, x, y, width, height in boxes:
        if selector not in (".lab-drawer", ".lab-sliders"):
            assert x >= 0, selector
            assert y >= 0, selector
            assert x + width <= 1440, selector
            assert y + height <= 900, selector
            assert width > 60, selector
    expect_no_overflow(page)
    point, spot = lonely_point(page), empty_spots(page, 3)[1]
    page.mouse.move(spot["x"], spot["y"])
    wait_for(page, "root.dataset.ghost === 'true'")
    page.mouse.move(point["x"], point["y"])
    expect(page.locator(".lab-card")).to_be_visible(timeout=PATIENCE)
    run = run_number(page)
    page.mouse.click(point["x"], point["y"])
    wait_for_run(page, run + 1)
    for tab in TABS[1:]:
        page.get_by_role("tab", name=tab).click()
    page.get_by_role("button", name="Select 3, ").click()
    wait_for(page, "!!lab.selections.A?.pictureOfMean")
    page.get_by_role("button", name="Selection B").click()
    page.get_by_role("button", name="Select 5, ").click()
    wait_for(page, "!!lab.selections.B?.pictureOfMean")
    page.get_by_role("tab", name="Neighbours").click()
    for colour in ("density", "kl", f"axis-{axes(page)[0]}", "class"):
        page.locator(".lab-colour-choice").select_option(colour)
        wait_for(page, "lab.colouring.key === arg", colour)
    page.locator("[data-do=fit]").click()
    page.keyboard.press("Escape")
    page.locator("[data-do=shade]").click()
    # Words in the status line, and a code far out, which is marked.
    page.locator(".lab-key .lab-swatch").first.click()
    drag(page, axes(page)[1], 0.5, 0.99)
    press(page, "Undo")
    seen = recorded(page)
    assert seen == [boxes], changes(seen)


def changes(seen):
    """Which boxes moved, for the reader of a failure."""
    return [
        (was, now)
        for before, after in pairwise(seen)
        for was, now in zip(before, after, strict=True)
        if was != now
    ]


def test_another_map_moves_nothing_either(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    record(page, BOXES)
    boxes = lab(page, BOXES)
    for view, name in (("principal", "principal"), ("axes", "axes:"), ("map", "map")):
        page.locator(".lab-view-choice").select_option(view)
        wait_for(page, "root.dataset.view.startsWith(arg) && map.layer.glide === 1", name)
        wait_for_lab(page)
    solid = page.locator("[data-do=solid]")
    solid.click()
    wait_for(page, "root.dataset.dims === '3'")
    solid.click()
    wait_for(page, "root.dataset.dims === '2'")
    seen = recorded(page)
    assert seen == [boxes], changes(seen)


def test_the_page_is_still_while_it_loads(page, app_server):
    """From when the lab is there to when all has come, no box moves."""
    page.goto(f"{app_server.url}/?model={DIGITS}")
    page.wait_for_function("() => document.querySelector('.lab')?.lab?.data", timeout=PATIENCE)
    record(page, BOXES)
    wait_for_lab(page)
    wait_for(page, "!!root.querySelector('.lab-thumb') && lab.truth.pin && !lab.asks.size")
    seen = recorded(page)
    # Streamlit itself moves the page while its shell comes in; what counts is that the lab's
    # parts keep their places to one another.
    inner = [
        [(selector, x - one[0][1], y - one[0][2], w, h) for selector, x, y, w, h in one]
        for one in seen
    ]
    assert all(one == inner[-1] for one in inner), changes(inner)


@pytest.mark.parametrize("name", [MNIST, PLANE])
def test_a_telephone_shows_all_without_overflow(name, page, app_server):
    page.set_viewport_size({"width": 390, "height": 844})
    open_lab(page, app_server.url, name)
    expect_no_overflow(page)
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        expect_no_overflow(page)
    page.locator("[data-do=fit]").click()
    expect_no_overflow(page)
    page.keyboard.press("Escape")
    if name == MNIST:
        page.locator(".lab-more").click()
        page.locator(".lab-view-choice").select_option("axes")
        wait_for(page, "root.dataset.view.startsWith('axes:')")
    page.locator(".lab-colour-choice").select_option("kl")
    wait_for(page, "lab.colouring.key === 'kl'")
    expect_no_overflow(page)
    axis = axes(page)[-1]
    drag(page, axis, 0.5, 0.8)
    wait_for_idle(page)
    # The picture stays in sight while a slider far down is moved.
    expect(page.locator(".lab-picture")).to_be_in_viewport(ratio=0.9)
    expect(slider(page, axis)).to_be_in_viewport()
    expect_no_overflow(page)
    assert_picture_is_decoded(page, SHIPPED / name)
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.lab *')].filter((one) => one.checkVisibility()
          && !one.closest('.lab-map, .lab-sheet, .lab-said')
          && one.getBoundingClientRect().right > innerWidth + 1)
          .map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert wide == []


def test_an_idle_page_costs_nothing(page, app_server):
    """No frame on a socket, no request, no run of the script, and nothing drawn."""
    traffic = []

    def watch(socket):
        for event in ("framesent", "framereceived"):
            socket.on(event, lambda frame, event=event: traffic.append((event, len(frame))))

    page.on("websocket", watch)
    open_lab(page, app_server.url, DIGITS)
    drag(page, axes(page)[0], 0.5, 0.7)
    point = lonely_point(page)
    page.mouse.move(point["x"], point["y"])
    expect(page.locator(".lab-card")).to_be_visible(timeout=PATIENCE)
    # Away from the map, so that the trail, the card and the ghost have their end.
    page.locator(".lab-hint").hover()
    wait_for(page, "map.trail.length < 2 && !map.wanted.size && lab.link.slots.truth.quiet")
    wait_for(page, "!!root.querySelector('.lab-thumb') && !lab.asks.size")
    page.wait_for_load_state("networkidle")
    wait_for_lab(page)
    page.on("request", lambda request: traffic.append(("request", request.url)))
    run, frames = run_number(page), lab(page, "[map.frames, lab.frames, lab.ghostFrames]")
    mutations = page.evaluate_handle(
        """() => { const seen = [];
          new MutationObserver((all) => seen.push(...all.map((one) => one.type)))
            .observe(document.querySelector('.lab'), { subtree: true, childList: true,
              attributes: true, characterData: true });
          return seen; }"""
    )
    assert traffic, "nothing was counted while the page was busy"
    traffic.clear()
    page.wait_for_timeout(IDLE_MS)
    assert traffic == []
    assert run_number(page) == run
    assert lab(page, "[map.frames, lab.frames, lab.ghostFrames]") == frames
    assert mutations.json_value() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable(scheme, page, app_server):
    page.emulate_media(color_scheme=scheme)
    open_lab(page, app_server.url, PLANE)
    # The contrast of what is said, by WCAG's formula: 4.5 for text, 3 for what is large or a mark.
    found = page.evaluate(
        """() => {
          const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
          const over = (colour, ground) => {
            context.fillStyle = ground;
            context.fillRect(0, 0, 1, 1);
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
            return context.getImageData(0, 0, 1, 1).data;
          };
          const light = ([...rgb]) => rgb.slice(0, 3).map((value) => value / 255)
            .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
            .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
          const root = document.querySelector('.lab');
          const ground = getComputedStyle(root).getPropertyValue('--st-background-color');
          return ['.lab-map-note', '.lab-status', '.lab-hint', '.lab-truth dt', '.lab-pick',
            '.lab-choice', '.lab-name', '.lab-number', '.lab-frame figcaption'].map((selector) => {
            const { color } = getComputedStyle(root.querySelector(selector));
            const [one, other] = [light(over(color, ground)), light(over(ground, ground))];
            return [selector, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)];
          });
        }"""
    )
    assert [one for one in found if one[1] < 4.5] == []
    ground = lab(page, "getComputedStyle(root).getPropertyValue('--st-background-color')")
    dark = np.array([int(ground.strip().lstrip("#")[at : at + 2], 16) for at in (0, 2, 4)]) < 128
    assert dark.all() == (scheme == "dark")
