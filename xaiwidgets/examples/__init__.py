"""Small real models and real images that need no network: for the notebooks, the documentation and the tests.

Needs the `demo` extra (scikit-learn, scikit-image), which carries the data; sentences are made on the spot.
"""

from xaiwidgets.examples.decoy import decoy, marked
from xaiwidgets.examples.digits import digits
from xaiwidgets.examples.example import Example
from xaiwidgets.examples.photographs import photograph, photographs
from xaiwidgets.examples.scenes import mosaic, scenes
from xaiwidgets.examples.sentences import Sentences, sentences

__all__ = [
    "Example", "Sentences", "decoy", "digits", "marked", "mosaic", "photograph", "photographs", "scenes", "sentences",
]  # fmt: skip
