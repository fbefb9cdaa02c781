"""The components' JavaScript: what one part calls of another is given, and nothing else."""

import re

import pytest

from tests.browser.server import ROOT

UI = ROOT / "explorer" / "ui"
SCRIPTS = sorted(UI.glob("*/*.js"))
CHECKED = re.compile(r"checkedHooks\(\s*\"(\w+)\",\s*hooks,\s*\[(.*?)\]\)", re.DOTALL)
CALLED = re.compile(r"\bhooks(\??)\.(\??\.?)(\w+)")


def hooks_of(text):
    """The names that a script checks, of all its classes."""
    return {
        name for _, names in CHECKED.findall(text) for name in re.findall(r"\"(on\w+|\w+)\"", names)
    }


def folder_text(script):
    return "\n".join(one.read_text() for one in sorted(script.parent.glob("*.js")))


@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda script: f"{script.parent.name}/{script.name}"
)
def test_every_hook_that_is_called_is_one_that_must_be_given(script):
    text = script.read_text()
    # Parts of one folder share their owner's hooks, and draw/link.js those of lab/link.js.
    checked = hooks_of(folder_text(script)) | hooks_of((UI / "lab" / "link.js").read_text())
    checked |= set(re.findall(r"super\(hooks, \[\"(\w+)\"\]\)", text))
    called = {name for _, _, name in CALLED.findall(text)}
    assert called <= checked, f"called and never given: {sorted(called - checked)}"
    assert not [match for match in CALLED.findall(text) if "?" in match[0] + match[1]]
    # What takes hooks checks them: one that is forgotten would do nothing, unseen.
    takes = len(re.findall(r"constructor\([^)]*\bhooks\b", text))
    assert takes == len(CHECKED.findall(text)) + text.count("super(hooks")


@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda script: f"{script.parent.name}/{script.name}"
)
def test_every_hook_that_must_be_given_is_called(script):
    text, folder = script.read_text(), folder_text(script)
    called = {name for _, _, name in CALLED.findall(folder)}
    assert hooks_of(text) <= called
