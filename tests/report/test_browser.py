"""The page in a real browser: what people click, hover, type and print works, at any width and in both themes."""

import shutil
from itertools import pairwise

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.report.answers import Answers
from convbench.report.html import comparison_page, page
from convbench.result import Cell, Crossing
from convbench.spec import ConvSpec

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's packages chromium and chromium-driver"),
    pytest.mark.xdist_group("browser"),
]

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
WAITING = "return [...document.querySelectorAll('.charts')].some((one) => !one.querySelector('.panel svg'))"
HOSTILE = "</script><img src=x onerror=document.title='caught'>"
CELLS = [
    cell
    for threads in (1, 2)
    for image in (256, 512, 1024)
    for cell in kernel_cells([3, 7, 15, 31, 63], image, threads)
]
TIMES = {
    "direct": power_law(1e-3, 20, 2.0),
    "fft": power_law(1e-3, 20, 0.1),
    "library": power_law(3e-3, 20, 0.5),
    HOSTILE: lambda cell: 5e-2,
}
CEILINGS = [
    {
        "threads": n,
        "multiply_add_flops_per_s": n * 1e11,
        "copy_bytes_per_s": n * 1e10,
        "matrix_product_flops_per_s": n * 9e10,
    }
    for n in (1, 2)
]
SWEPT = Synthetic(TIMES, CELLS, [Crossing(axis="kernel", start="direct", to="fft")], passes=3)
LISTED = Synthetic(
    {"direct": lambda cell: 1e-3, "fft": lambda cell: 2e-3},
    [Cell(spec=ConvSpec(h=h, w=h, r=3, s=3), name=f"layer {h}") for h in (8, 16, 32)],
)


def answers(run):
    tags = dict.fromkeys(run.true_times, ("cpu",)) | ({"library": ("cpu", "peer")} if run is SWEPT else {})
    return Answers(run.info(tags=tags, machine={"ceilings": CEILINGS}), run.blocks())


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    swept = answers(SWEPT)
    other = Answers(swept.info, SWEPT.blocks(seed=1))
    texts = {
        "swept": page(swept),
        "listed": page(answers(LISTED)),
        "compared": comparison_page(["a", "b"], [swept, other]),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in texts}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def swept(browser, pages):
    yield opened(browser, pages["swept"])
    assert browser.get_log("browser") == []


def opened(browser, address, width=1300, height=900, theme="light", media="", scripts=True):
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    # On a busy machine the page is there before its charts are.
    if scripts:
        WebDriverWait(browser, 30).until(lambda one: not one.execute_script(WAITING))
    return browser


def all_of(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def first_of(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser, text):
    """Click the control that says `text`."""
    found = [one for one in all_of(browser, ".controls label, .controls button") if one.text == text]
    assert found, f"no control says {text!r}"
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[0])
    found[0].click()


def drawn(browser):
    """The names of all lines, panel by panel."""
    return [
        [one.get_attribute("data-name") for one in panel.find_elements(By.CSS_SELECTOR, ".series")]
        for panel in all_of(browser, ".panel")
    ]


def labels(browser):
    return [one.text for one in all_of(browser, ".panel .label")]


def test_every_algorithm_is_drawn_in_a_panel_for_each_group_and_names_are_text(swept):
    assert drawn(swept) == [list(TIMES)] * 3
    assert [one.text for one in all_of(swept, ".panel figcaption")] == ["image 256", "image 512", "image 1024"]
    assert HOSTILE in [one.text for one in all_of(swept, ".legend label")]
    assert swept.title != "caught"


def test_algorithms_are_chosen_one_by_one_all_none_and_those_that_lead(swept):
    press(swept, "fft")
    assert drawn(swept) == [["direct", "library", HOSTILE]] * 3
    assert not [text for text in labels(swept) if text.startswith("fft:")]  # its crossover goes with it
    press(swept, "none")
    assert drawn(swept) == [[]] * 3
    press(swept, "those that lead anywhere")
    assert drawn(swept) == [["direct", "fft"]] * 3
    press(swept, "all")
    assert drawn(swept) == [list(TIMES)] * 3
    label = next(one for one in all_of(swept, ".legend label") if one.text == "library")
    ActionChains(swept).double_click(label).perform()
    assert drawn(swept) == [["library"]] * 3


def test_quantities_places_and_scales_are_switched(swept):
    assert any(text.endswith("ms") for text in labels(swept))
    before = first_of(swept, ".panel .line").get_attribute("d")
    press(swept, "logarithmic values")
    assert first_of(swept, ".panel .line").get_attribute("d") != before
    assert "0" in " ".join(labels(swept))
    press(swept, "Times slower than the fastest")
    assert any(text.endswith("×") for text in labels(swept))
    press(swept, "2 threads")
    assert len(all_of(swept, ".panel")) == 3
    press(swept, "Error, as a share of the algorithm's own bound")
    assert any(text.endswith("%") for text in labels(swept))
    press(swept, "Roofline")
    assert [one.text for one in all_of(swept, ".panel figcaption")] == ["Direct-equivalent"]
    assert any("multiply-adds, 200 GFLOP/s" in text for text in labels(swept))


def test_trade_offs_are_shown_cell_by_cell(swept):
    press(swept, "Workspace against time")
    assert len(all_of(swept, ".panel")) == 1
    picker = first_of(swept, ".pick select")
    assert len(picker.find_elements(By.TAG_NAME, "option")) == 15
    picker.send_keys(Keys.ARROW_DOWN)
    assert all_of(swept, ".panel .stairs")


def test_pointing_at_a_marker_tells_its_values_and_fades_the_others(swept):
    panel = first_of(swept, ".panel svg")
    swept.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    marker = first_of(swept, '.panel .series[data-name="fft"] path:last-of-type')
    ActionChains(swept).move_to_element(marker).perform()
    told = first_of(swept, ".tooltip").text.splitlines()
    assert told[0] in TIMES
    assert told[1].startswith("image 256, kernel ")
    assert told[2].startswith("Time per call: ")
    assert told[3].startswith("95 %: ")
    assert " – " in told[3]
    assert "the time of the fastest" in " ".join(told)
    assert told[-1] == "3 passes"
    assert len(all_of(swept, ".panel.pointing .series.pointed")) == 1
    ActionChains(swept).move_to_element(first_of(swept, "h1")).perform()
    assert not first_of(swept, ".tooltip").is_displayed()


def test_a_chart_is_read_by_the_keyboard_alone(swept):
    first_of(swept, "[name=chart-quantity]").send_keys(Keys.ARROW_RIGHT)
    assert first_of(swept, "[name=chart-quantity]:checked").get_attribute("value") == "1"
    panel = first_of(swept, ".panel svg")
    panel.send_keys(Keys.ARROW_RIGHT)
    names, values = [], []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN):
        panel.send_keys(key)
        lines = first_of(swept, ".tooltip").text.splitlines()
        names.append(lines[0])
        values.append(lines[1])
    assert names[0] == names[1] != names[2]
    assert values[0] != values[1]
    panel.send_keys(Keys.ESCAPE)
    assert not first_of(swept, ".tooltip").is_displayed()
    assert all("Arrow keys read" in one.get_attribute("aria-label") for one in all_of(swept, ".panel svg"))


def test_tables_sort_by_their_numbers_both_ways_and_lines_are_filtered(swept):
    table = first_of(swept, "#results table")
    button = next(one for one in table.find_elements(By.TAG_NAME, "button") if one.text.startswith("time"))
    swept.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    column = [one.text for one in table.find_elements(By.CSS_SELECTOR, "thead th")].index(button.text)
    script = "return [...arguments[0].tBodies[0].rows].map((row) => Number(row.cells[arguments[1]].dataset.v))"
    button.click()
    assert all(a <= b for a, b in pairwise(swept.execute_script(script, table, column)))
    button.click()
    assert all(a >= b for a, b in pairwise(swept.execute_script(script, table, column)))
    assert table.find_elements(By.CSS_SELECTOR, "th[aria-sort=descending]")
    first_of(swept, "input.filter").send_keys("library 1024")
    shown = [one.text for one in table.find_elements(By.CSS_SELECTOR, "tbody tr") if one.is_displayed()]
    assert len(shown) >= 10
    assert all("library" in text and "1024" in text for text in shown)
    assert first_of(swept, ".count").text == f"{len(shown)} of {len(CELLS) * len(TIMES)} lines"


def test_speed_ups_are_shown_for_the_base_that_is_picked(swept):
    select = first_of(swept, "select.pick")
    swept.execute_script("arguments[0].scrollIntoView({block: 'center'})", select)
    shown = lambda: [one.get_attribute("id") for one in all_of(swept, '[id^="speedups-"]') if one.is_displayed()]  # noqa: E731
    before = shown()
    select.send_keys(Keys.ARROW_DOWN)
    assert len(before) == len(shown()) == 1
    assert before != shown()


@pytest.mark.parametrize("name", ["swept", "listed", "compared"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_page_is_wider_than_its_window_and_all_text_is_readable(browser, pages, name, width, theme):
    opened(browser, pages[name], width=width, theme=theme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for selector in ("main p", ".meta", "th", "td", ".legend label", ".choice span", ".square b"):
        for one in all_of(browser, selector)[:3]:
            assert browser.execute_script(CONTRAST, one) >= 4.5, (selector, one.text)
    widths = [one.size["width"] for one in all_of(browser, ".panel svg")]
    assert all(one <= width for one in widths)
    assert browser.get_log("browser") == []


CONTRAST = """
const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
const srgb = (color) => {
  const found = numbers(color);
  return color.startsWith("color(srgb") ? found.map((one, index) => (index < 3 ? one * 255 : one)) : found;
};
const light = (color) => {
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = srgb(color).map((one) => linear(one / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
let behind = arguments[0];
let paper = "rgba(0, 0, 0, 0)";
while (behind && (srgb(paper)[3] ?? 1) === 0) {
  paper = getComputedStyle(behind).backgroundColor;
  behind = behind.parentElement;
}
const [a, b] = [light(getComputedStyle(arguments[0]).color), light(paper)];
return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
"""


def test_shapes_without_an_axis_are_dots_in_rows(browser, pages):
    opened(browser, pages["listed"])
    assert drawn(browser) == [["direct", "fft"]]
    assert {"layer 8", "layer 16", "layer 32"} <= set(labels(browser))
    assert browser.get_log("browser") == []


def test_print_has_the_charts_and_not_their_controls(browser, pages):
    opened(browser, pages["swept"], media="print")
    assert all_of(browser, ".panel svg")
    assert not first_of(browser, ".controls").is_displayed()


def test_without_scripts_the_page_says_where_the_figures_are(browser, pages):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(browser, pages["swept"], scripts=False)
        assert "in the folder figures" in first_of(browser, "noscript").get_attribute("textContent")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
