"""Maps fitted from the page: progress, cancelling, the cache, bearings, and codes without a map."""

import re
import subprocess

import numpy as np
import pytest
from playwright.sync_api import expect

from explorer.latent.alignment import align
from explorer.latent.planes import principal_plane
from explorer.live.model import OpenedModel
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    click_through,
    expect_no_overflow,
    expect_status,
    lab,
    latents,
    lonely_point,
    open_lab,
    record,
    recorded,
    run_number,
    wait_for,
    wait_for_lab,
)

DIGITS = "digits-vae-8"
LONG = 180_000  # ms: a worker compiles umap, which takes a busy machine a while


def open_form(page):
    page.locator("[data-do=fit]").click()
    expect(page.locator(".lab-fit")).to_be_visible()
    return page.locator(".lab-fit")


def ask(page, **settings):
    """Fill in the form and send it."""
    form = page.locator(".lab-fit")
    if not form.is_visible():
        open_form(page)
    for name, value in settings.items():
        field = form.locator(f"[name={name}]")
        if field.evaluate("(field) => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.get_by_role("button", name="Fit", exact=True).click()


def wait_for_fit(page):
    page.wait_for_function(
        """() => { const root = document.querySelector('.lab');
          return root.dataset.view.startsWith('fit:') && !root.lab.fitting
            && root.lab.map.layer.glide === 1 && !root.lab.map.moving; }""",
        timeout=LONG,
    )
    wait_for_lab(page)
    return lab(page, "root.dataset.view")


def workers(server):
    """How many processes of this server fit maps."""
    found = subprocess.run(
        ["pgrep", "-P", str(server._process.pid), "-f", "explorer.latent.fitting"],
        capture_output=True,
        text=True,
    )
    return len(found.stdout.split())


def places_of(page):
    flat = lab(page, "Array.from(map.points.places)")
    return np.array(flat, np.float32).reshape(-1, lab(page, "map.points.dims"))


def centres(places, labels):
    """Middle of each class on a map, about the middle of all, (K, 2)."""
    found = np.array([places[labels == label].mean(axis=0) for label in np.unique(labels)])
    return found - places.mean(axis=0)


def test_a_fit_of_two_people_goes_on_is_shared_glides_in_and_is_kept(new_page, app_server):
    page, other = new_page(), new_page()
    open_lab(other, app_server.url, DIGITS)
    open_form(other)
    page.bring_to_front()
    open_lab(page, app_server.url, DIGITS)
    open_form(page)
    expect(page.locator(".lab-fit [name=method]")).to_be_focused()
    before = places_of(page)
    record(page, "[root.dataset.view, map.layer.glide]")
    page.evaluate(
        """() => {
          const bar = document.querySelector('.lab-fit progress');
          const words = document.querySelector('.lab-fit-state span'), seen = window.told = [];
          setInterval(() => seen.push([bar.hasAttribute('value') ? bar.value : -1,
            words.textContent]), 20);
        }"""
    )
    ask(page, n_neighbors="9", min_dist="0.2")
    ask(other, n_neighbors="9", min_dist="0.2")
    page.bring_to_front()
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_be_visible()
    expect(page.locator(".lab-fit progress")).to_be_visible()
    wait_for(page, "root.querySelector('.lab-fit progress').value > 0")
    assert workers(app_server) == 1
    # The old map stays usable.
    assert lab(page, "root.dataset.view") == "map"
    page.keyboard.press("Escape")
    point, run = lonely_point(page), run_number(page)
    page.mouse.click(point["x"], point["y"])
    click_through(page, run)
    view = wait_for_fit(page)
    assert re.fullmatch("fit:[0-9a-f]{32}", view)

    # Real progress: it grows, and says which epoch it is at.
    told = page.evaluate("() => window.told")
    shares = [share for share, _ in told if share >= 0]
    assert shares == sorted(shares)
    # How many of them are seen is a matter of the machine; one was on the way.
    assert any(0 < share < 1 for share in shares)
    assert 0.9 < max(shares) <= 1
    assert any("epoch" in words for _, words in told)

    # The new one glided in, from the old one's places.
    glides = [glide for _, glide in recorded(page)]
    assert sum(0 < glide < 1 for glide in glides) > 3
    inner = glides[glides.index(min(glides)) :]
    assert inner == sorted(inner)

    # One's bearings are kept: no turn or mirroring would bring it nearer to the old one.
    after, labels = places_of(page), OpenedModel(SHIPPED / DIGITS).encodings.labels
    assert (after != before).any()
    np.testing.assert_allclose(align(after, before), after, atol=1e-3 * np.ptp(after))
    old, new = centres(before, labels), centres(after, labels)
    cosines = (old * new).sum(axis=1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosines.mean() > 0.7
    expect(page.locator(".lab-map-note")).to_contain_text("UMAP 9 / 0.2")
    assert page.locator(".lab-marker").is_visible()

    # The other one has the very same map.
    other.bring_to_front()
    assert wait_for_fit(other) == view
    np.testing.assert_array_equal(places_of(other), after)
    other.close()

    # Asked for again it is there at once, without a worker; a new page offers it, and links to it.
    page.bring_to_front()
    page.locator(".lab-view-choice").select_option("map")
    wait_for(page, "root.dataset.view === 'map'")
    ask(page, n_neighbors="9", min_dist="0.2")
    assert wait_for_fit(page) == view
    assert workers(app_server) == 0
    open_lab(page, app_server.url, DIGITS)
    option = page.locator(f".lab-view-choice option[value='{view}']")
    expect(option).to_have_text("UMAP 9 / 0.2", timeout=PATIENCE)
    open_lab(page, app_server.url, DIGITS, view=view)
    wait_for(page, "root.dataset.view === arg", view)
    np.testing.assert_array_equal(places_of(page), after)


def test_a_fit_is_cancelled_and_the_map_stays(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    before = places_of(page)
    for by_key in (False, True):
        ask(page, n_neighbors="11")
        wait_for(page, "root.querySelector('.lab-fit-state span').textContent !== 'Starting…'")
        cancel = page.get_by_role("button", name="Cancel", exact=True)
        if by_key:
            cancel.press("Enter")
        else:
            cancel.click()
        expect(page.locator(".lab-fit-state")).to_contain_text("Cancelled", timeout=PATIENCE)
        expect(cancel).to_be_hidden()
        assert lab(page, "root.dataset.view") == "map"
        np.testing.assert_array_equal(places_of(page), before)
        # Its process is gone too.
        for _ in range(200):
            if not workers(app_server):
                break
            page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
        assert workers(app_server) == 0


def test_a_page_that_is_left_takes_its_fit_with_it(new_page, app_server):
    page = new_page()
    open_lab(page, app_server.url, DIGITS)
    ask(page, n_neighbors="12")
    wait_for(page, "root.querySelector('.lab-fit-state span').textContent !== 'Starting…'")
    page.close()
    page = new_page()
    for _ in range(200):
        if not workers(app_server):
            break
        page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    assert workers(app_server) == 0


@pytest.mark.parametrize("name", ["same", "few"])
def test_codes_that_cannot_be_mapped_are_told_and_the_map_stays(name, page, app_server):
    open_lab(page, app_server.url, name)
    before, shown = places_of(page), lab(page, "root.dataset.view")
    ask(page)
    state = page.locator(".lab-fit-state")
    expect(state).to_contain_text("The map is as it was.", timeout=LONG)
    expect(state).to_have_text(re.compile({"same": "identical|equal|same", "few": "3"}[name]))
    assert state.inner_text().count(".") >= 2
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    assert lab(page, "root.dataset.view") == shown
    np.testing.assert_array_equal(places_of(page), before)
    # And the page goes on.
    page.keyboard.press("Escape")
    run = run_number(page)
    page.get_by_role("button", name="Prior sample").click()
    click_through(page, run)
    assert len(latents(page)) == 8


def test_settings_out_of_bounds_are_not_sent(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for settings in ({"n_neighbors": "1"}, {"n_neighbors": "201"}, {"min_dist": "1.5"}):
        ask(page, **{"n_neighbors": "15", "min_dist": "0.1"} | settings)
        (name,) = settings
        assert not page.locator(f".lab-fit [name={name}]").evaluate("(one) => one.checkValidity()")
    assert not [url for url in asked if "/fits/" in url]
    assert not lab(page, "!!lab.fitting")


def test_principal_components_in_two_and_three_dimensions(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    codes = OpenedModel(SHIPPED / DIGITS).encodings.mean
    ask(page, method="principal components", components="2")
    wait_for_fit(page)
    flat = principal_plane(codes).places(codes)
    np.testing.assert_allclose(
        np.linalg.norm(places_of(page) - places_of(page).mean(axis=0), axis=1),
        np.linalg.norm(flat - flat.mean(axis=0), axis=1),
        atol=1e-3,
    )
    first = lab(page, "root.dataset.view")
    ask(page, components="3")
    wait_for(page, "root.dataset.view !== arg && root.dataset.dims === '3'", first)
    assert places_of(page).shape == (len(codes), 3)
    assert len(page.locator(".lab-view-choice option").all()) >= 5


def test_an_address_of_a_fit_that_is_not_there_is_told(page, app_server, expected_errors):
    expected_errors.append("status of 422")  # the browser's own word on the answer
    open_lab(page, app_server.url, DIGITS, view="fit:" + 32 * "0")
    expect_status(page, "cannot be shown")
    assert lab(page, "root.dataset.view") == "map"
    expect(page.locator(".lab-view-choice")).to_have_value("map")
    page.set_viewport_size({"width": 390, "height": 844})
    wait_for_lab(page)
    open_form(page)
    expect_no_overflow(page)
