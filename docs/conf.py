"""How Sphinx builds these pages; warnings are errors in the tests."""

from importlib.metadata import version as installed_version

project = "Lockstep"
author = "The Lockstep authors"
copyright = "2026, The Lockstep authors"
release = installed_version("lockstep-db")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "Lockstep"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd3a5"},
}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False
