"""The page by keyboard alone, with a screen reader, on a phone, in the dark, without motion or colours of its own."""

import pytest

from tests.page.conftest import serious_violations

SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}


def every_view(opened):
    """The addresses of the views in the navigation, and of two layers."""
    named = opened.page.evaluate("[...document.querySelectorAll('#views a')].map((link) => link.hash)")
    assert "#draw" in named and "#pixel" in named and "#backward" in named
    return [*named, "#strip/4.conv2d", "#strip/8.dense"]


def drawn(opened):
    """A stroke, so that all parts of the page are shown."""
    opened.page.focus("#field")
    for key in ["Space", *["ArrowDown"] * 8, "Space"]:
        opened.page.keyboard.press(key)
    opened.settle()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page, browser, scheme, size):
    # The page's policy forbids scripts from elsewhere, and axe is one.
    opened = open_page(color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    drawn(opened)
    for view in every_view(opened):
        opened.go(view)
        assert serious_violations(opened.page) == [], view


@pytest.mark.parametrize("width", [320, 360, 768, 1600])
def test_no_view_is_wider_than_the_window(open_page, width):
    opened = open_page(viewport={"width": width, "height": 800})
    drawn(opened)
    for view in every_view(opened):
        opened.go(view)
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_nothing_moves_by_itself_under_reduced_motion(open_page):
    opened = open_page(reduced_motion="reduce")
    drawn(opened)
    assert opened.page.evaluate("document.getAnimations().length") == 0


def test_tab_reaches_every_control_and_focus_can_be_seen(open_page):
    opened = open_page()
    controls = opened.page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, [tabindex=\"0\"], summary')]"
        ".filter((e) => e.checkVisibility() && e.tabIndex >= 0).length"
    )
    opened.page.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(controls + 2):
        opened.page.keyboard.press("Tab")
        seen.add(opened.page.evaluate(
            "() => { const e = document.activeElement; if (e === document.body) return '';"
            " const style = getComputedStyle(e);"
            " return style.outlineStyle === 'none' ? `no outline: ${e.outerHTML.slice(0, 80)}`"
            " : e.outerHTML.slice(0, 300) + [...document.querySelectorAll('*')].indexOf(e); }"
        ))  # fmt: skip
    assert not [one for one in seen if one.startswith("no outline")]
    assert len(seen - {""}) == controls


def test_the_question_mark_lists_the_keys_and_escape_closes_the_list(open_page):
    opened = open_page()
    opened.page.keyboard.press("?")
    assert opened.page.locator("dialog").is_visible()
    opened.page.keyboard.press("Escape")
    assert not opened.page.locator("dialog").is_visible()


def test_a_number_is_said_when_the_cursor_moves_to_it(open_page):
    opened = open_page()
    opened.go("#strip/4.conv2d")
    opened.page.focus(".one-map")
    opened.page.keyboard.press("ArrowDown")
    opened.hears("^row 1, column 0, map 0: ")


def test_the_answer_is_said_after_a_stroke(open_page):
    opened = open_page()
    drawn(opened)
    opened.hears(r"^(This is|Probably|Perhaps) \d")


def test_with_forced_colours_the_field_and_the_maps_keep_theirs(open_page):
    opened = open_page(forced_colors="active")
    drawn(opened)
    ground, ink = opened.page.evaluate(
        "[getComputedStyle(document.getElementById('field')).backgroundColor,"
        " getComputedStyle(document.querySelector('.ink')).stroke]"
    )
    assert (ground, ink) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
