"""XML without surprises: no document types, no entities, no namespaces in the way."""

from __future__ import annotations

from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from qnroute.errors import ProblemError


def parse_xml(content: bytes) -> Element:
    """The root of an XML document, its tags without their namespaces.

    Raises
    ------
    ProblemError
        When it is malformed, or declares a document type: entities can blow a small file up without bound.
    """
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(content)
        root = parser.close()
    except ElementTree.ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise ProblemError(f"line {line}, column {column + 1}: not XML: {reason}") from None
    except (LookupError, UnicodeError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"not XML: {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


class _Builder(ElementTree.TreeBuilder):
    """Called back at a document type declaration before anything in it is acted upon."""

    def doctype(self, *declared: object) -> NoReturn:
        raise ProblemError("declares a document type (<!DOCTYPE ...>), which is not read")
