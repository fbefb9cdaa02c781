"""No page is wider than its window and nothing on it is cut off, at common widths of windows."""

import pytest
from playwright.sync_api import TimeoutError

from tests.browser.lab import PATIENCE, open_lab, wait_for_idle, wait_for_page
from tests.browser.test_encode_work import SECTIONS, held_out_files

MODEL = "digits-vae-8"
SETTLED = 10_000  # ms
DESKTOPS = ((1024, 768), (1280, 800), (1440, 900), (1920, 1080))
TOUCH = ((768, 1024), (390, 844))

# What lies outside the window, is cut off by what it stands in, or reaches out of its column.
CUT_OFF = """() => {
  const main = document.querySelector('[data-testid=stMain]');
  const wide = document.documentElement.clientWidth;
  const name = (one) => `${one.tagName} ${one.getAttribute('aria-label')
    || one.textContent.trim().slice(0, 40) || one.className}`;
  const faults = [];
  const check = (one, there, room) => {
    if (there > room) faults.push(`${name(one)}: ${there} px in ${room}`);
  };
  check(main, main.scrollWidth, main.clientWidth);
  // Rows that may be longer than the screen and say so: they scroll, or end in an ellipsis.
  const scrolls = '.tray-list, [data-testid=stMultiSelectTagsContainer], .standing-table,'
    + ' [data-testid=stDataFrame], [data-testid=stTable], [data-testid=stElementToolbar],'
    + ' .js-plotly-plot, .stSlider';
  const cuts = (one) => /auto|scroll|hidden|clip/.test(getComputedStyle(one).overflowX);
  for (const one of main.querySelectorAll('*')) {
    if (one.closest(scrolls) || one.matches('input, textarea, select') || !cuts(one)) continue;
    if (getComputedStyle(one).textOverflow === 'ellipsis' || one.clientWidth < 8) continue;
    check(one, one.scrollWidth, one.clientWidth + 1);
  }
  const controls = 'button, a[href], input, select, textarea, canvas, summary, [tabindex="0"]';
  for (const one of main.querySelectorAll(controls)) {
    if (one.closest(scrolls)) continue;
    if (!one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const column = one.closest('[data-testid=stColumn]')?.getBoundingClientRect();
    const left = Math.max(0, column?.left ?? 0), right = Math.min(wide, column?.right ?? wide);
    if (box.left < left - 2 || box.right > right + 2) {
      const ends = [box.left, box.right, left, right].map(Math.round);
      faults.push(`${name(one)}: from ${ends[0]} to ${ends[1]} in ${ends[2]} to ${ends[3]}`);
    }
  }
  return faults;
}"""


@pytest.fixture(params=["desktop", "touch"])
def sizes(request, new_page, chromium):
    """A page, and the windows to see it in."""
    if request.param == "desktop":
        yield new_page(), DESKTOPS
        return
    context = chromium.new_context(
        viewport={"width": TOUCH[0][0], "height": TOUCH[0][1]}, has_touch=True, is_mobile=True
    )
    yield context.new_page(), TOUCH
    context.close()


def expect_nothing_cut_off(page, sizes, what):
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        wait_for_page(page)
        try:  # charts follow the window a little later
            page.wait_for_function(f"() => ({CUT_OFF})().length === 0", timeout=SETTLED)
        except TimeoutError:
            faults = "\n".join(page.evaluate(CUT_OFF))
            pytest.fail(f"{what} at {width} px:\n{faults}")


def test_explore(sizes, app_server):
    page, windows = sizes
    open_lab(page, app_server.url, MODEL)
    expect_nothing_cut_off(page, windows, "Explore")


def test_encode_and_its_sections(sizes, app_server):
    page, windows = sizes
    page.goto(f"{app_server.url}/encode?model={MODEL}")
    page.locator("input[type=file]").wait_for(state="attached", timeout=PATIENCE)
    wait_for_idle(page)
    expect_nothing_cut_off(page, windows, "Encode without a picture")
    page.locator("input[type=file]").set_input_files(
        [
            {"name": name, "mimeType": "image/png", "buffer": data}
            for name, data in held_out_files(3)
        ]
    )
    page.locator(".post").wait_for(timeout=PATIENCE)
    wait_for_page(page)
    for section in SECTIONS:
        page.locator(".st-key-encode-section").get_by_text(section, exact=True).click()
        wait_for_page(page)
        expect_nothing_cut_off(page, windows, section)


def test_compare_and_its_sections(sizes, app_server):
    page, windows = sizes
    page.goto(f"{app_server.url}/compare?model={MODEL}")
    page.locator(".cursor").wait_for(timeout=PATIENCE)
    wait_for_page(page)
    sections = page.locator(".st-key-compare-closer button").all_inner_texts()
    assert len(sections) > 3
    for section in sections:
        page.locator(".st-key-compare-closer").get_by_text(section, exact=True).click()
        wait_for_page(page)
        expect_nothing_cut_off(page, windows, section)
