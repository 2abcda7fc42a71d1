"""Attribution methods, one family a file. Adding a method is adding one function."""

from . import attention, blur_path, guided_path, internal, noise, path_variants, cams, cams_forward, cams_propagated, deeplift, gradients, guided, extremal, learned_masks, lrp, excitation, paths, perturbation, rise, shapley, surrogates, xrai

__all__ = ["cams", "gradients", "paths", "perturbation"]
