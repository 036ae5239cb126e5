"""How Sphinx builds the documentation: ``make docs``."""

import sys
from configparser import ConfigParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

package = ConfigParser(interpolation=None)
package.read(HERE.parent / "setup.cfg", encoding="utf-8")

project = package["metadata"]["name"]
author = "pyramid_sessionkit contributors"
copyright = author
release = version = package["metadata"]["version"]

extensions = ["sphinx.ext.autodoc", "declared"]
exclude_patterns = ["_build", "_ext"]
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False

html_theme = "alabaster"
html_theme_options = {
    "description": "Server-side sessions for Pyramid",
    "fixed_sidebar": True,
    "page_width": "70em",
    "sidebar_width": "260px",
}
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
