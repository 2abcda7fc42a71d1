"""Is the explanation true? Measurements of attributions, one family a file. Adding a metric is adding one function.

Importing a file registers its metrics; the order here is that of the menus.
"""

# isort: skip_file
from . import removal_curves as removal_curves
from . import road as road
from . import ranks as ranks
from . import fidelity as fidelity
from . import sums as sums
from . import stability as stability
from . import hyperparameters as hyperparameters
from . import complexity as complexity
from . import alignment as alignment
from . import agreement as agreement
from . import text_fills as text_fills
from . import text_removal as text_removal
from . import controls as controls
from . import invariance as invariance
from . import localisation as localisation
from . import randomisation as randomisation
