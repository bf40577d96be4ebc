"""A Sphinx extension: what the book changes of jupyter-book's defaults where `_config.yml` cannot."""

from __future__ import annotations

import re

MASTER_NOTEBOOKS = {"tasks": "finetune", "compressed": "compress"}  # one notebook, run for each page of the folder


def notebook_of(page: str) -> str:
    """Return the notebook in the repository that a page of the book is a run of."""
    folder, _, name = page.rpartition("/")
    return f"notebooks/{MASTER_NOTEBOOKS.get(folder, name)}.ipynb"


def point_buttons(app, pagename, templatename, context, doctree):
    """Correct each Colab button; the theme takes a page's place in the book for that in the repository."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                button["url"] = re.sub(r"(/blob/[^/]+/).*$", rf"\g<1>{notebook_of(pagename)}", button["url"])


def leave_out_thebe(app, pagename, templatename, context, doctree):
    """Drop the scripts that would run cells in a page, which none asks for; they are added twice and then collide."""
    files = context.get("script_files", [])
    context["script_files"] = [file for file in files if "thebe" not in f"{file.filename} {file.attributes}".lower()]


def settle(app, config):
    """Leave figures unnumbered, so that a caption's number is the published report's, and show one search, not two."""
    config.numfig = False
    config.html_theme_options["navbar_persistent"] = []  # the other search stands in the sidebar
    config.html_context.setdefault("default_mode", "auto")  # light or dark as the reader's system is


def share_nodes(app) -> None:
    """Let a single page show every node that pages show.

    sphinx-exercise registers nodes for the builder of a single page by name; Sphinx then looks there alone, and not
    where the other extensions registered theirs, for HTML of any kind.
    """
    handlers = app.registry.translation_handlers
    if "singlehtml" in handlers:
        handlers["singlehtml"] = {**handlers["html"], **handlers["singlehtml"]}


def setup(app):
    app.connect("builder-inited", share_nodes)
    app.connect("config-inited", settle, priority=900)  # after the extension that numbers figures
    for change in (point_buttons, leave_out_thebe):
        app.connect("html-page-context", change, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
