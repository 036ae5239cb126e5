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

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton", "declared"]
exclude_patterns = ["_build", "_ext"]
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False

# Each block says what it is; what does not is no program.
highlight_language = "none"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

html_theme = "furo"
html_title = project
html_favicon = "../example_app/static/icon.svg"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_js_files = [("docs.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False

# Of a session in a terminal, the button copies what was typed.
copybutton_exclude = ".linenos, .gp, .go"
