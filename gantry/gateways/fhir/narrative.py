"""Decides which XHTML a narrative may hold, and writes it back from a parsed tree."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

XHTML = "{http://www.w3.org/1999/xhtml}"
XML = "{http://www.w3.org/XML/1998/namespace}"
TAGS = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
        "kbd",
        "address",
        "ins",
        "del",
        "bdo",
        "bdi",
        "u",
        "s",
    ]
)
"""txt-1: the basic formatting of HTML 4.0 chapters 7–11 and 15, links and images."""
ATTRIBUTES = frozenset(
    [
        "abbr",
        "accesskey",
        "align",
        "alt",
        "axis",
        "bgcolor",
        "border",
        "cellhalign",
        "cellpadding",
        "cellspacing",
        "cellvalign",
        "char",
        "charoff",
        "charset",
        "cite",
        "class",
        "colspan",
        "compact",
        "coords",
        "dir",
        "frame",
        "headers",
        "height",
        "href",
        "hreflang",
        "hspace",
        "id",
        "idref",
        "lang",
        "longdesc",
        "name",
        "nowrap",
        "rel",
        "rev",
        "rowspan",
        "rules",
        "scope",
        "shape",
        "span",
        "src",
        "start",
        "style",
        "summary",
        "tabindex",
        "title",
        "type",
        "valign",
        "value",
        "vspace",
        "width",
    ]
)


def why_not(div: str) -> Iterator[str]:
    """Each reason why this is no narrative (R4 §2.4.0, txt-1 and txt-2)."""
    entities = re.sub(r"&(?!(amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)[A-Za-z]+;", "\u00a0", div)
    if entities != div:
        yield "has an entity that XML does not know"
    try:
        root = SafeTree.fromstring(entities, forbid_dtd=True)
    except (ParseError, ValueError, DefusedXmlException):
        yield "is not well-formed XHTML"
        return
    if root.tag != f"{XHTML}div":
        yield "is not one <div> in the XHTML namespace"
        return
    for node in root.iter():
        name = node.tag.removeprefix(XHTML) if isinstance(node.tag, str) else ""
        if name not in TAGS:
            yield f"has <{name[:30]}>, which a narrative may not"
        for attribute in node.attrib:
            if attribute not in ATTRIBUTES and not attribute.startswith(XML):
                yield f"has the attribute {attribute[:30]!r}, which a narrative may not"
    if not "".join(root.itertext()).strip() and not any(node.tag == f"{XHTML}img" for node in root.iter()):
        yield "says nothing"


def ids(div: str) -> frozenset[str]:
    """What a link into this narrative can point at."""
    return frozenset(re.findall(r"""\bid\s*=\s*["']([^"']+)["']""", div))


def written(node: Node, *, outer: bool = True) -> str:
    """XHTML as text, the namespace once, on the outermost element."""
    name = node.tag.removeprefix(XHTML) if isinstance(node.tag, str) else "div"
    head = [name]
    if outer:
        head.append('xmlns="http://www.w3.org/1999/xhtml"')
    head += [f"{key.replace(XML, 'xml:')}={quoteattr(value)}" for key, value in node.attrib.items()]
    inside = escape(node.text or "") + "".join(written(child, outer=False) + escape(child.tail or "") for child in node)
    return f"<{' '.join(head)}>{inside}</{name}>" if inside else f"<{' '.join(head)}/>"
