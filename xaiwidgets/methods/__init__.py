"""Attribution methods, one family a file. Adding a method is adding one function.

Importing a file registers its methods; the order here is that of the menus.
"""

from . import (  # isort: skip_file
    gradients,
    noise,
    paths,
    path_variants,
    word_paths,
    blur_path,
    guided_path,
    internal,
    lrp,
    deeplift,
    full_grad,
    excitation,
    guided,
    cams,
    cams_forward,
    cams_propagated,
    perturbation,
    token_changes,
    shapley,
    surrogates,
    rise,
    learned_masks,
    extremal,
    xrai,
    attention,
    attention_changed,
)

__all__ = [
    "attention", "attention_changed", "blur_path", "cams", "cams_forward", "cams_propagated", "deeplift", "excitation", "extremal",
    "full_grad", "gradients", "guided", "guided_path", "internal", "learned_masks", "lrp", "noise", "path_variants", "paths",
    "perturbation", "rise", "shapley", "surrogates", "token_changes", "word_paths", "xrai",
]  # fmt: skip
