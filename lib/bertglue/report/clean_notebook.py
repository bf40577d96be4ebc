"""Make a page of the book from an executed notebook: what it shows, and nothing that could run or read anything.

A run's notebook is data, whoever made it. Sphinx, MyST and a browser would take its metadata, its Markdown and its
outputs for instructions; here all of that is dropped, escaped, or held to what this project's own notebooks show.
"""

from __future__ import annotations

import base64
import binascii
import copy
import html
import re
import string
from xml.etree import ElementTree

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from markdown_it import MarkdownIt

from bertglue.report.figures import DESCRIPTION

TAGS = {"hide-input", "hide-output", "remove-cell", "remove-input", "parameters", "injected-parameters"}
HTML_TAGS = {
    *("table", "thead", "tbody", "tr", "th", "td", "caption", "div", "p", "span", "br", "hr", "ul", "ol", "li"),
    *("strong", "em", "b", "i", "code", "pre", "sup", "sub", "a", "details", "summary"),
}
SPANS = ["colspan", "rowspan", "scope"]
HTML_ATTRIBUTES = {"*": ["class", "style"], "a": ["href"], "td": SPANS, "th": SPANS}
CSS = CSSSanitizer(allowed_css_properties=["text-align", "width"])
SVG_TAGS = {
    *(
        "svg",
        "g",
        "defs",
        "path",
        "use",
        "clipPath",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
    ),
    *("tspan", "style", "linearGradient", "stop", "pattern", "image", "title", "desc"),
}
FETCHED = re.compile(r"url\(\s*['\"]?(?!#)|@import|javascript:|expression\(", re.IGNORECASE)
ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
PNG = b"\x89PNG\r\n\x1a\n"
PUNCTUATION = re.compile(f"([{re.escape(string.punctuation)}])")


def clean_notebook(executed, template):
    """Return a notebook with the cells of an executed one, cleaned.

    Args:
        executed: the notebook as it was found.
        template: this project's own notebook that it is a run of; what stands there is trusted, and its metadata is
            taken.

    Returns:
        A new notebook: Markdown of the template as it is and any other as plain text, code as code, and of outputs
        their text, their PNG figures, and HTML without scripts, styles, forms, frames or handlers.
    """
    trusted = {(cell.cell_type, cell.source.strip()): cell.metadata for cell in template.cells}
    cells = [clean_cell(cell, trusted) for cell in executed.cells]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    for name in ("kernelspec", "language_info"):
        if name in template.metadata:
            notebook.metadata[name] = template.metadata[name]
    return notebook


def clean_cell(cell, trusted: dict):
    """Return a new cell that shows what a cell shows; one of the template has the template's metadata (its caption)."""
    source = str(cell.source)
    own = trusted.get((cell.cell_type, source.strip()))
    tags = [tag for tag in cell.metadata.get("tags", []) if tag in TAGS]
    metadata = ({"tags": tags} if tags else {}) if own is None else copy.deepcopy(own)
    if cell.cell_type == "code":
        count = cell.get("execution_count")
        outputs = [clean_output(output) for output in cell.get("outputs", [])]
        if "mystnb" in metadata:
            add_description(metadata["mystnb"].get("image", {}), [output for output in outputs if output])
        return nbformat.v4.new_code_cell(
            source, metadata=metadata, execution_count=count if type(count) is int else None,
            outputs=[output for output in outputs if output],
        )  # fmt: skip
    if cell.cell_type == "markdown" and own is not None:
        return nbformat.v4.new_markdown_cell(source, metadata=metadata)
    return nbformat.v4.new_markdown_cell(as_text(source), metadata=metadata)


def add_description(image: dict, outputs: list) -> None:
    """Add what a figure shows, which stands in the id of its drawing, to the alternative text of its cell."""
    for output in outputs:
        drawn = output.get("data", {}).get("image/svg+xml", "")
        if found := re.search(rf'<g id="{DESCRIPTION}([^"<>]*)"', drawn):
            image["alt"] = f"{image.get('alt', 'figure')}. {html.unescape(found[1])}"
            output["data"]["image/svg+xml"] = drawn.replace(found[0], '<g id="figure_1"', 1)


def as_text(source: str) -> str:
    """Escape Markdown, so that all of it is shown as text; headings stay headings.

    Every punctuation mark may be escaped in Markdown; none is left that could begin a directive, a role, a
    substitution, a link, an attribute, a comment or HTML.
    """
    lines = []
    for line in source.splitlines():
        heading = re.match(r"(#{1,6} )(.*)", line)
        marks, text = heading.groups() if heading else ("", line)
        lines.append(marks + PUNCTUATION.sub(r"\\\1", text.strip()))
    return "\n".join(lines)


def clean_output(output):
    """Return what an output shows, or None for one that shows nothing that is let through."""
    if output.output_type == "stream":
        shown = output.name == "stdout"
        return nbformat.v4.new_output("stream", name="stdout", text=str(output.text)) if shown else None
    if output.output_type == "error":
        found = {key: str(output.get(key, "")) for key in ("ename", "evalue")}
        return nbformat.v4.new_output("error", **found, traceback=[str(line) for line in output.get("traceback", [])])
    data = {kind: clean(str(output.data[kind])) for kind, clean in KINDS.items() if kind in output.get("data", {})}
    data = {kind: value for kind, value in data.items() if value is not None}
    if "text/markdown" in data:
        data["text/html"] = data.pop("text/markdown")
    return nbformat.v4.new_output("display_data", data=data) if data else None


def clean_html(text: str) -> str:
    """Return HTML with the tags and attributes of tables and boxes; of what else it has, the text."""
    return bleach.clean(
        text, tags=HTML_TAGS, attributes=HTML_ATTRIBUTES, css_sanitizer=CSS, protocols={"http", "https"}, strip=True,
        strip_comments=True,
    )  # fmt: skip


def clean_png(text: str) -> str | None:
    """Return the base64 of a PNG file, None of anything else."""
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return base64.b64encode(content).decode() if content.startswith(PNG) else None


def clean_markdown(text: str) -> str:
    """Return plain Markdown as HTML; nothing of MyST's is known here, and raw HTML is text."""
    return clean_html(MarkdownIt("commonmark", {"html": False}).render(text))


def clean_svg(text: str) -> str | None:
    """Return an SVG with the shapes and the texts that figures are drawn with, None of what is no such file."""
    try:
        if "<!ENTITY" in text:
            return None
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None
    if local_name(root.tag) not in SVG_TAGS:
        return None
    clean_element(root)
    return ElementTree.tostring(root, encoding="unicode")


def clean_element(element) -> None:
    """Drop what could run or fetch from an element and all in it."""
    for name, value in list(element.attrib.items()):
        plain = local_name(name).lower()
        elsewhere = plain == "href" and not value.startswith(("#", "data:image/png;base64,"))
        if plain.startswith("on") or elsewhere or FETCHED.search(value):
            del element.attrib[name]
    if local_name(element.tag) == "style" and FETCHED.search("".join(element.itertext())):
        element.text = ""
    for child in list(element):
        if local_name(child.tag) in SVG_TAGS:
            clean_element(child)
        else:
            element.remove(child)


def local_name(name) -> str:
    """Return a name without its namespace; a comment has none."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


KINDS = {
    "text/html": clean_html, "image/svg+xml": clean_svg, "image/png": clean_png, "text/markdown": clean_markdown,
    "text/plain": str,
}  # fmt: skip
