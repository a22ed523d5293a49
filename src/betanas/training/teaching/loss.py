"""The loss that goes by a teacher's answers, and its share of the whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from betanas.training.recipe import Recipe


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of a network's softened answers from a teacher's, times the temperature squared.

    The factor keeps the gradient's size the same at any temperature (Hinton, Vinyals and Dean 2015, section 2).

    Args:
        logits: the network's, float, shape [batch, classes].
        answers: the teacher's logits, likewise; none of their gradients is asked for.
        temperature: what both are divided by.
    """
    own = torch.log_softmax(logits / temperature, dim=1)
    wanted = torch.log_softmax(answers / temperature, dim=1)
    return temperature**2 * functional.kl_div(own, wanted, reduction="batchmean", log_target=True)


def teacher_share(recipe: Recipe, fraction: float) -> float:
    """The teacher's share of the loss at a fraction of the budget in (0, 1]."""
    return recipe.teacher_share + (recipe.teacher_final_share - recipe.teacher_share) * min(fraction, 1.0)
