"""Encode and Compare as a user drives them."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import expect

from explorer.images.intake import ModelInput, prepare_upload
from explorer.models.checkpoint import load_config
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from tests.browser.lab import (
    PATIENCE,
    axes,
    choose_model,
    expect_status,
    latents,
    open_lab,
    pick_model,
    picture,
    point_on_slider,
    wait_for_idle,
    wait_for_lab,
    wait_for_other_picture,
    wait_for_page,
)

MODEL = "mnist-vae-16"


def photographed_seven():
    """A seven in dark pen on unevenly lit paper, grainy, lying on its side by EXIF, as JPEG."""
    width, height = 900, 1200
    light = np.linspace(150, 235, width)[None, :] + np.linspace(0, 15, height)[:, None]
    grain = np.random.default_rng(0).normal(0, 4, (height, width))
    paper = Image.fromarray(np.clip(light + grain, 0, 255).astype(np.uint8))
    ImageDraw.Draw(paper).line([(280, 320), (640, 300), (430, 900)], fill=50, width=52)
    paper = paper.filter(ImageFilter.GaussianBlur(3)).convert("RGB")
    sideways = paper.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    sideways.save(file, "JPEG", exif=exif, quality=85)
    return file.getvalue()


def go_to(page, name):
    page.get_by_role("link", name=name, exact=True).first.click()
    wait_for_idle(page)


def upload(page, *files):
    page.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files]
    )


@pytest.mark.parametrize("name", [MODEL, "mnist-ae-2", "digits-vae-8"])
def test_a_photographed_digit_lands_on_the_map_and_its_code_in_the_sliders(name, page, app_server):
    open_lab(page, app_server.url, name)
    go_to(page, "Encode")
    photograph = photographed_seven()
    upload(page, ("seven.jpg", "image/jpeg", photograph))
    for step in ("As uploaded", "Turned upright", "Inverted", "Model input", "Reconstruction"):
        expect(page.get_by_text(step, exact=True)).to_be_visible(timeout=PATIENCE)
    wait_for_page(page)
    expect(page.locator(".js-plotly-plot .annotation-text").first).to_have_text("1")
    page.get_by_role("button", name="Send to the sliders").click()
    wait_for_lab(page, name)

    data = load_config(SHIPPED / name).data
    prepared = prepare_upload(
        photograph, "seven.jpg", ModelInput(data.image_shape, data.background)
    )
    mean, _ = Codec.from_folder(SHIPPED / name).encode(prepared.image[None])
    np.testing.assert_allclose(latents(page), mean[0], atol=1e-4)
    if name == MODEL:
        nearest = page.locator('[data-fact="nearest"] span')
        expect(nearest).to_have_text(re.compile(r"^7.*, distance \d"), timeout=PATIENCE)
    pick_model(page, "mnist-vae-2")
    pick_model(page, name)
    np.testing.assert_allclose(latents(page), mean[0], atol=1e-4)


def test_bad_uploads_are_told_and_the_good_one_is_encoded(page, app_server):
    open_lab(page, app_server.url, MODEL)
    go_to(page, "Encode")
    upload(
        page,
        ("notes.png", "image/png", b"these are no pixels"),
        ("cut.jpg", "image/jpeg", photographed_seven()[:4000]),
        ("good.jpg", "image/jpeg", photographed_seven()),
    )
    expect(page.get_by_text("1 · good.jpg")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("2 files could not be used")).to_be_visible(timeout=PATIENCE)
    refused = page.get_by_test_id("stTable").first
    for name in ("notes.png", "cut.jpg"):
        expect(refused).to_contain_text(name)
    go_to(page, "Explore")
    wait_for_lab(page, MODEL)


def test_compare_opens_with_a_fair_pair(page, app_server):
    open_lab(page, app_server.url, MODEL)
    go_to(page, "Compare")
    expect(page.get_by_text("A matched pair, VAE and AE")).to_be_visible(timeout=PATIENCE)
    for title in ("Reconstruction error", "k-NN accuracy", "Prior holes"):
        expect(page.get_by_role("button", name=title).first).to_be_visible(timeout=PATIENCE)


def test_without_a_live_connection_the_picture_follows_when_let_go(page, app_server):
    page.route_web_socket("**/explorer-live/**", lambda socket: socket.close())
    page.goto(app_server.url)
    expect_status(page, "none arrived: a proxy .* decoded when you let go")
    axis = axes(page)[0]
    for share in (0.9, 0.1):
        before = picture(page)
        page.mouse.move(*point_on_slider(page, axis, 0.5))
        page.mouse.down()
        page.mouse.move(*point_on_slider(page, axis, share), steps=4)
        page.mouse.up()
        shown = wait_for_other_picture(page, before)
    decoded = Codec.from_folder(SHIPPED / MODEL).decode_pixels(latents(page)[None])[0]
    assert np.abs(shown[..., :3].astype(int) - decoded.astype(int)).max() <= 1


def test_a_map_that_does_not_come_leaves_no_old_points_to_click(page, app_server, expected_errors):
    expected_errors.append("Failed to load resource")
    open_lab(page, app_server.url, "mnist-vae-2")
    page.route(re.compile(r"/points/mnist-ae-16\b"), lambda route: route.abort())
    choose_model(page, "mnist-ae-16")
    expect(page.locator(".lab-map-note")).to_contain_text("could not be drawn", timeout=PATIENCE)
    expect_status(page, "^Live")
    box = page.locator(".lab-map").bounding_box()
    for across in (0.4, 0.5, 0.6):
        page.mouse.click(box["x"] + across * box["width"], box["y"] + 0.5 * box["height"])
    assert latents(page).shape == (16,)
