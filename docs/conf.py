"""The site: `make docs` writes it to build/docs. Offline, and every warning is an error."""

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "_extensions")]

project = "xaiwidgets"
author = "the xaiwidgets contributors"
release = version = importlib.metadata.version("xaiwidgets")

extensions = [
    "myst_parser", "sphinx.ext.autodoc", "site_pages", "mathml", "live_widgets", "site_notebooks", "docstrings",
]  # fmt: skip
exclude_patterns = ["README.md"]
nitpicky = False
language = "en"

myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 4
myst_heading_slug_func = "site_pages.slug"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures are long enough; the docstrings say what may be passed
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "xaiwidgets"
html_static_path = ["_static"]
html_math_renderer = "mathml"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_use_index = True
html_theme_options = {"navigation_with_keys": False}
