from explorer.models.library import SHIPPED, list_checkpoints
from explorer.ui.shell import describe


def told(name):
    return next(describe(one) for one in list_checkpoints([SHIPPED]) if one.name == name)


def test_the_picker_says_which_figure_it_shows():
    assert told("mnist-vae-16").endswith(" · test −ELBO 95.6 nats, best of 30 epochs")
    assert told("mnist-ae-16").endswith(" · test reconstruction NLL 62.7 nats, best of 30 epochs")


def test_the_picker_says_why_nats_may_be_below_0():
    assert told("faces-vae-16").endswith(
        " · test −ELBO −14098.3 nats (of a density), best of 20 epochs"
    )
