"""Methods that score training examples, one family a file. Adding a method is adding one function.

Importing a file registers its methods; the order here is that of the menus.
"""

from . import (  # isort: skip_file
    gradient_products,
    similarity,
    representers,
)

__all__ = ["gradient_products", "representers", "similarity"]
