"""What the shop sells."""

from typing import NamedTuple


class Product(NamedTuple):
    name: str
    about: str
    cents: int


PRODUCTS = {
    "notebook": Product("Notebook", "160 dotted pages, lies flat", 1250),
    "pencil": Product("Pencil", "Cedar wood, medium soft", 180),
    "ink": Product("Ink", "50 ml, midnight blue", 990),
}
