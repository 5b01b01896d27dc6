"""How Sphinx publishes the book; `fluxlab/book/site.py` puts the notebooks in place."""

project = "fluxlab"
html_title = "fluxlab"
language = "en"

extensions = ["myst_nb"]
exclude_patterns = ["download"]

# The notebooks arrive executed: what was reviewed is what is shown.
nb_execution_mode = "off"
nb_merge_streams = True
# Widgets would fetch their code from elsewhere; the book has none.
nb_ipywidgets_js = {}
myst_enable_extensions = ["attrs_block", "attrs_inline", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = [("charts.js", {"defer": "defer"})]
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#005a8f",
        "color-brand-content": "#005a8f",
        "color-brand-visited": "#6929c4",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cb8ea",
        "color-brand-content": "#6cb8ea",
        "color-brand-visited": "#be95ff",
    },
}
html_show_sphinx = False
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_domain_indices = False
# Excerpts are fetched page by page, which a browser refuses for a folder of files.
html_show_search_summary = False
