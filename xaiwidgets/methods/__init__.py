"""Attribution methods, one family a file. Adding a method is adding one function."""

from . import cams, gradients, paths, perturbation

__all__ = ["cams", "gradients", "paths", "perturbation"]
