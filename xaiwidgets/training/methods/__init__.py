"""The methods; importing this package registers them."""

from . import gradient_products as gradient_products
from . import representers as representers
from . import similarity as similarity
