"""Our Adam is PyTorch's to the bit."""

import pytest
import torch

from explorer.training.adam import FusedAdam


def losses(parameters):
    weight, bias = parameters
    data = torch.linspace(-1, 1, 12).reshape(4, 3)
    return (torch.tanh(data @ weight + bias) - 0.3).square().sum()


def make_parameters():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((3, 2), (2,))]


@pytest.mark.parametrize("epsilon", [1e-8, 1e-4])
def test_steps_are_those_of_torchs_fused_adam(epsilon):
    ours, theirs = make_parameters(), make_parameters()
    optimizer = torch.optim.Adam(theirs, lr=0.1, eps=epsilon, fused=True)
    adam = FusedAdam(ours, epsilon)
    for step in range(20):
        rate = 0.1 / (step + 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        losses(theirs).backward()
        optimizer.step()
        adam.clear()
        losses(ours).backward()
        adam.step(rate)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_loaded_state_goes_on_as_the_first():
    first, second = make_parameters(), make_parameters()
    one, other = FusedAdam(first, 1e-8), FusedAdam(second, 1e-8)
    for _ in range(3):
        one.clear()
        losses(first).backward()
        one.step(0.1)
    with torch.no_grad():
        for mine, stored in zip(second, first, strict=True):
            mine.copy_(stored)
    other.load_state(one.state())
    for adam, parameters in ((one, first), (other, second)):
        adam.clear()
        losses(parameters).backward()
        adam.step(0.1)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(first, second, strict=True))


def test_a_state_of_another_model_is_refused():
    state = FusedAdam([torch.zeros(4, 2), torch.zeros(2)], 1e-8).state()
    with pytest.raises(ValueError, match=r"the shape \(4, 2\)"):
        FusedAdam(make_parameters(), 1e-8).load_state(state)
