"""How the picture that is looked at became the model's input, and what else could be chosen."""

from dataclasses import replace

from explorer.errors import ConfigError
from explorer.images.intake import PreparedImage
from explorer.images.preparation import Decision, Preparation
from explorer.ui.encoding.files import to_data_url
from explorer.ui.encoding.gallery import SessionPicture, session_gallery
from explorer.ui.steps import Choice, Step, StepsRequest, show_steps, steps_event

KEY = "encode-steps"
TITLES = {
    "turn": "Turn",
    "ground": "Ground",
    "polarity": "Light and dark",
    "contrast": "Contrast",
    "framing": "Framing",
    "strokes": "Strokes",
}
LABELS = {
    ("turn", "0"): "0°",
    ("turn", "90"): "↻ 90°",
    ("turn", "180"): "180°",
    ("turn", "270"): "↺ 90°",
    ("ground", "dark"): "black",
    ("ground", "light"): "white",
    ("polarity", "keep"): "as it is",
    ("polarity", "invert"): "swapped",
    ("contrast", "stretch"): "stretched",
    ("contrast", "keep"): "as it is",
    ("framing", "ink box"): "what is drawn",
    ("framing", "centre crop"): "middle",
    ("framing", "pad"): "padded",
    ("framing", "whole"): "squeezed",
    ("strokes", "keep"): "as thick",
    ("strokes", "thicken"): "thicker",
}
ORDER = tuple(dict.fromkeys(choice for choice, _ in LABELS))


def show_preparation(picture: SessionPicture, prepared: PreparedImage, others: int) -> None:
    """The steps as small pictures, with the choices below them.

    Args:
        picture: that is looked at.
        prepared: what became of it.
        others: how many other pictures there are.
    """
    upright = max(at for at, step in enumerate(prepared.steps) if step.whole)
    steps = [
        Step(
            title=step.title,
            detail=step.detail,
            source=to_data_url(step.picture),
            width=step.picture.shape[1],
            height=step.picture.shape[0],
            upright=at == upright,
        )
        for at, step in enumerate(prepared.steps)
    ]
    choices = [choice for one in prepared.decisions if (choice := choice_of(one)) is not None]
    request = StepsRequest(
        picture=picture.id,
        steps=steps,
        choices=choices,
        crop=picture.preparation.crop,
        changed=bool(picture.preparation.changed),
        others=others,
    )
    show_steps(request, key=KEY, on_event=follow_steps)


def choice_of(decision: Decision) -> Choice | None:
    """A decision as a row of buttons; None where there is nothing to choose."""
    known = {value for choice, value in LABELS if choice == decision.choice}
    values = {decision.taken, *decision.others} & known
    if not decision.others:
        return None
    return Choice(
        name=decision.choice,
        title=TITLES[decision.choice],
        words=decision.words,
        taken=decision.taken,
        guessed=decision.guessed,
        options=[
            (value, label)
            for (choice, value), label in LABELS.items()
            if choice == decision.choice and value in values
        ],
    )


def follow_steps() -> None:
    """Prepare a picture as was chosen."""
    gallery, event = session_gallery(), steps_event(KEY)
    picture = None if event is None else gallery.find(event.picture)
    if event is None or picture is None:
        return
    if event.kind == "guess":
        gallery.prepare_otherwise(picture.id, Preparation())
    elif event.kind == "all":
        gallery.prepare_all(picture.preparation)
    elif event.kind == "crop" or event.choice in ORDER:
        changes = {"crop": event.crop} if event.kind == "crop" else {event.choice: event.value}
        try:
            chosen = replace(picture.preparation, **changes)
        except ConfigError:
            return  # no button of ours asks for it
        gallery.prepare_otherwise(picture.id, chosen)
