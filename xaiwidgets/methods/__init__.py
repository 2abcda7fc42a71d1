"""Attribution methods, one family a file. Adding a method is adding one function.

Importing a file registers its methods; the order here is that of the menus.
"""

from . import (  # isort: skip_file
    gradients,
    noise,
    paths,
    path_variants,
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
    shapley,
    surrogates,
    rise,
    learned_masks,
    extremal,
    xrai,
    attention,
)

__all__ = [
    "attention", "blur_path", "cams", "cams_forward", "cams_propagated", "deeplift", "excitation", "extremal",
    "full_grad", "gradients", "guided", "guided_path", "internal", "learned_masks", "lrp", "noise", "path_variants", "paths",
    "perturbation", "rise", "shapley", "surrogates", "xrai",
]  # fmt: skip
