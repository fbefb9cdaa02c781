"""What lasts beyond a page: its address, bookmarks, files; and what the address must not break."""

import csv
import io
import json
import re
import zipfile
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from explorer.live.model import OpenedModel
from explorer.models.library import SHIPPED
from tests.browser.conftest import WINDOW
from tests.browser.lab import (
    PATIENCE,
    assert_decoded,
    assert_picture_is_decoded,
    axes,
    click_through,
    drag,
    expect_status,
    lab,
    latents,
    model_name,
    open_lab,
    picture,
    pixels_of,
    press,
    run_number,
    wait_for,
    wait_for_lab,
)

DIGITS, MNIST, PLANE = "digits-vae-8", "mnist-vae-16", "mnist-vae-2"


def address_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def saved(page, button):
    """Press a button that saves a file; its name and content."""
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_a_copied_link_opens_the_same_picture_in_another_browser(page, chromium, app_server):
    open_lab(page, app_server.url, DIGITS)
    order = axes(page)
    for axis in order[:2]:
        drag(page, axis, 0.5, 0.83)
    page.locator(".lab-view-choice").select_option("axes")
    wait_for(page, "root.dataset.view.startsWith('axes:')")
    page.locator(".lab-colour-choice").select_option("density")
    wait_for(page, "lab.colouring.key === 'density'")
    wait_for_lab(page)
    wait_for(page, "location.search.includes('colour=density')")
    address = address_of(page)
    assert address["model"] == DIGITS
    assert address["view"] == f"axes:{order[0]},{order[1]}"
    code = np.array([float(value) for value in address["z"].split(",")], np.float32)
    assert (code == latents(page)).all()
    # It is one state that changes, not a way through the browser's history.
    assert page.evaluate("() => history.length") <= 2

    context = chromium.new_context(
        viewport=WINDOW, permissions=["clipboard-read", "clipboard-write"]
    )
    try:
        other = context.new_page()
        other.goto(page.url)
        wait_for_lab(other, DIGITS)
        wait_for(other, "lab.colouring.key === 'density'")
        assert (latents(other) == latents(page)).all()
        assert (picture(other) == picture(page)).all()
        assert lab(other, "root.dataset.view") == address["view"]
        for select, value in ((".lab-view-choice", "axes"), (".lab-colour-choice", "density")):
            expect(other.locator(select)).to_have_value(value)
        assert_picture_is_decoded(other, SHIPPED / DIGITS)
        # The button copies this very address.
        open_tab(other, "Export")
        other.get_by_role("button", name="Copy a link to this picture").click()
        expect(other.get_by_text("The link is copied")).to_be_visible()
        assert other.evaluate("() => navigator.clipboard.readText()") == other.url == page.url
    finally:
        context.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"z": "1,2"}, "z has 2 values, this model 8 latents"),
        ({"z": "1,2,3,4,5,6,7,<b>"}, "z holds what is no number"),
        ({"z": "1,2,3,4,5,6,7,1e30"}, "z holds what is no number"),
        ({"z": "", "view": "axes:0,8", "colour": "taste"}, "there is no map axes:0,8"),
        ({"view": "axes:1,1"}, "there is no map axes:1,1"),
        ({"view": "../../etc", "colour": "axis-99"}, "there is no map ../../etc"),
    ],
)
def test_what_an_address_asks_for_in_vain_is_ignored_with_a_note(address, words, page, app_server):
    open_lab(page, app_server.url, DIGITS, **address)
    expect_status(page, "The address could not be read in full.*ignored")
    expect(page.locator(".lab-status")).to_contain_text(words)
    # The rest is as if it had not been asked for, and works.
    assert lab(page, "root.dataset.view") == "map"
    assert (latents(page) == np.array(lab(page, "lab.data.start"), np.float32)).all()
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
    wait_for(page, "lab.colouring.key === lab.colour")
    expect(page.locator(".lab-colour-choice")).to_have_value("class")
    press(page, "Prior sample")
    assert address_of(page)["colour"] == "class"


def test_a_part_that_can_be_read_is_used_beside_one_that_cannot(page, app_server):
    code = [0.5, -1.25, 0, 0, 0, 0, 1, 2]
    z = ",".join(str(value) for value in code)
    open_lab(page, app_server.url, DIGITS, z=z, view="nowhere", colour="density")
    expect_status(page, "there is no map nowhere")
    assert latents(page).tolist() == code
    wait_for(page, "lab.colouring.key === 'density'")
    assert_picture_is_decoded(page, SHIPPED / DIGITS)


def test_a_model_that_is_not_there_leaves_its_code_alone(page, app_server):
    page.goto(f"{app_server.url}/?model=gone&z=1,2&view=principal")
    wait_for_lab(page, MNIST)
    expect(page.get_by_text("asks for the model gone, which is not there")).to_be_visible()
    assert lab(page, "root.dataset.view") == "map"
    assert (latents(page) == np.array(lab(page, "lab.data.start"), np.float32)).all()


def test_a_colour_of_the_address_that_this_model_lacks_is_told(page, app_server, expected_errors):
    expected_errors.append("status of 4")
    open_lab(page, app_server.url, "digits-ae-8", colour="kl")
    expect_status(page, "no KL|no variance")
    wait_for(page, "lab.colour === 'class' && lab.colouring.key === 'class'")
    expect(page.locator(".lab-colour-choice")).to_have_value("class")
    expect(page.locator(".lab-key")).to_have_count(10)


def test_bookmarks_name_codes_and_are_kept_in_the_browser(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    open_tab(page, "Bookmarks")
    codes = {}
    for name in ('=a "five", thin', ""):
        press(page, "Prior sample")
        entry = page.get_by_role("textbox", name="Name of the new bookmark")
        entry.fill(name)
        if name:
            page.get_by_role("button", name="Bookmark the pinned code").click()
        else:
            entry.press("Enter")
        codes[name or "Code 2"] = latents(page)
    press(page, "Mean code")
    thumbs = page.locator(".lab-thumb[data-bookmark]")
    expect(thumbs).to_have_count(2)
    for place, (name, code) in enumerate(codes.items()):
        expect(thumbs.nth(place).locator("b")).to_have_text(name)
        wait_for(page, "root.querySelector(`[data-bookmark='${arg}'] canvas`).width > 1", place)
        assert_decoded(pixels_of(page, f"[data-bookmark='{place}'] canvas"), SHIPPED / DIGITS, code)
        run = run_number(page)
        thumbs.nth(place).click()
        click_through(page, run)
        assert (latents(page) == code).all()
    # As files.
    file, content = saved(page, "Save the bookmarks as JSON")
    assert file == f"{DIGITS}-bookmarks.json"
    plain = json.loads(content)
    assert plain["checkpoint"] == DIGITS
    for kept, (name, code) in zip(plain["bookmarks"], codes.items(), strict=True):
        assert kept["name"] == name
        assert (np.array(kept["latents"], np.float32) == code).all()
    file, content = saved(page, "Save the bookmarks as CSV")
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert rows[0] == ["name", *(f"z{axis}" for axis in range(1, 9))]
    assert [row[0] for row in rows[1:]] == ['\'=a "five", thin', "Code 2"]
    assert (np.array(rows[1][1:], np.float32) == codes['=a "five", thin']).all()
    # They are there after the page was loaded anew, for this checkpoint alone.
    open_lab(page, app_server.url, PLANE)
    open_tab(page, "Bookmarks")
    expect(thumbs).to_have_count(0)
    open_lab(page, app_server.url, DIGITS)
    open_tab(page, "Bookmarks")
    expect(thumbs).to_have_count(2)
    page.get_by_role("button", name="Remove bookmark Code 2").press("Enter")
    expect(thumbs).to_have_count(1)
    expect(thumbs.locator("b")).to_have_text('=a "five", thin')


def test_bookmarks_that_somebody_damaged_do_no_harm(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    key = lab(page, "lab.drawer.bookmarkKey")
    for damaged in ("{", '[{"name": 3}, {"name": "short", "latents": [1]}, null]', '{"a": 1}'):
        page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, damaged])
        open_lab(page, app_server.url, DIGITS)
        open_tab(page, "Bookmarks")
        expect(page.locator(".lab-thumb[data-bookmark]")).to_have_count(0)
    page.get_by_role("button", name="Bookmark the pinned code").click()
    expect(page.locator(".lab-thumb[data-bookmark]")).to_have_count(1)


def test_codes_and_pictures_are_saved_as_files(page, app_server):
    open_lab(page, app_server.url, DIGITS)
    model = OpenedModel(SHIPPED / DIGITS)
    drag(page, axes(page)[0], 0.5, 0.8)
    open_tab(page, "Export")
    file, content = saved(page, "Save the decoded picture as PNG")
    assert file == f"{DIGITS}-decoded.png"
    assert (np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")) == picture(page)).all()
    file, content = saved(page, "Save the code as CSV")
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert rows[0] == [f"z{axis}" for axis in range(1, 9)]
    assert (np.array(rows[1], np.float32) == latents(page)).all()
    file, content = saved(page, "Save the code as JSON")
    plain = json.loads(content)
    assert plain["checkpoint"] == DIGITS
    assert plain["link"] == page.url
    assert (np.array(plain["latents"], np.float32) == latents(page)).all()

    file, content = saved(page, "Save all codes as CSV")
    assert file == f"{DIGITS}-codes.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    codes = np.array([[row[f"z{axis}"] for axis in range(1, 9)] for row in rows], np.float32)
    assert (codes == model.encodings.mean).all()
    file, content = saved(page, "Save for TensorBoard's projector")
    assert file == f"{DIGITS}-projector.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        assert {"tensors.tsv", "metadata.tsv", "sprite.png", "projector_config.json"} <= names
        tensors = np.loadtxt(io.StringIO(archive.read("tensors.tsv").decode()), np.float32)
        sprite = Image.open(io.BytesIO(archive.read("sprite.png")))
        assert len(archive.read("metadata.tsv").splitlines()) == len(tensors) + 1
    assert (tensors == model.encodings.mean).all()
    assert sprite.width * sprite.height >= 8 * 8 * len(tensors)
    expect(page.get_by_text(f"{DIGITS}-projector.zip is saved.")).to_be_visible()

    file, content = saved(page, "Save the map as PNG")
    assert file == f"{DIGITS}-map.png"
    image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    box = page.locator(".lab-map").bounding_box()
    assert abs(image.shape[1] / image.shape[0] - box["width"] / box["height"]) < 0.02
    colours = {tuple(pixel) for pixel in image.reshape(-1, 3)}
    for key in lab(page, "lab.colouring.rgb"):
        assert any(np.abs(np.subtract(colour, key)).max() < 40 for colour in colours), key


def test_undo_and_redo_over_every_settled_change(page, app_server):
    """Codes, maps, colours and selections are steps of one way."""
    open_lab(page, app_server.url, DIGITS)
    state = """[String(lab.latents), root.dataset.view, lab.colouring.key,
      lab.selections.A ? lab.selections.A.rows.length : 0]"""
    ready = f"String({state}) === String(arg)"
    states = [lab(page, state)]

    def keep():
        wait_for_lab(page)
        states.append(lab(page, state))

    drag(page, axes(page)[0], 0.5, 0.8)
    keep()
    page.locator(".lab-view-choice").select_option("principal")
    wait_for(page, "root.dataset.view === 'principal' && lab.history.length === 2")
    keep()
    page.locator(".lab-colour-choice").select_option("density")
    wait_for(page, "lab.colouring.key === 'density' && lab.history.length === 3")
    keep()
    page.locator(".lab-colour-choice").select_option("class")
    wait_for(page, "lab.colouring.key === 'class' && lab.history.length === 4")
    keep()
    page.get_by_role("button", name=re.compile("^Select 7, ")).click()
    wait_for(page, "!!lab.selections.A?.pictureOfMean && lab.history.length === 5")
    keep()
    press(page, "Prior sample")
    keep()
    assert len({json.dumps(one) for one in states}) == len(states) - 1  # the colour came back
    for past in states[-2::-1]:
        page.keyboard.press("Control+z")
        wait_for(page, ready, past)
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    for later in states[1:]:
        page.keyboard.press("Control+Shift+z")
        wait_for(page, ready, later)
    expect(page.get_by_role("button", name="Redo", exact=True)).to_be_disabled()
    wait_for_lab(page)
    assert address_of(page)["view"] == "principal"
    assert model_name(page) == DIGITS
    assert_picture_is_decoded(page, SHIPPED / DIGITS)
