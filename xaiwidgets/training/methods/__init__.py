"""Methods that score training examples, one family a file. Adding a method is adding one function.

Importing a file registers its methods; the order here is that of the menus.
"""

from . import (  # isort: skip_file
    gradient_products,
    influence_functions,
    fisher,
    trak,
    similarity,
    representers,
)

__all__ = ["fisher", "gradient_products", "influence_functions", "representers", "similarity", "trak"]
