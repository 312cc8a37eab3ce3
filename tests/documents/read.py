"""Reads a page of HTML as browsers do; tells as JSON what is in it: elements, attributes, rows of tables, text."""

import json
import sys

import html5lib

parser = html5lib.HTMLParser(namespaceHTMLElements=False)
document = parser.parse(sys.stdin.buffer.read(), transport_encoding="utf-8")


def text(element):
    return " ".join("".join(element.itertext()).split())


elements = [element for element in document.iter() if isinstance(element.tag, str)]
json.dump(
    {
        "faults": [str(fault) for fault in parser.errors],
        "elements": sorted({element.tag for element in elements}),
        "attributes": sorted({name for element in elements for name in element.attrib}),
        "lang": document.attrib.get("lang"),
        "title": text(document.find("head/title")),
        "scopes": sorted({element.attrib.get("scope", "") for element in elements if element.tag == "th"}),
        "rows": [[text(cell) for cell in row] for row in document.iter("tr")],
        "body": text(document.find("body")),
    },
    sys.stdout,
)
