import enum
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import date

import pytest

from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from pyramid_sessionkit.exceptions import SessionNotSerializable, SessionTooLarge

LARGE = 10**6
dumps, loads, encode = BUILT_IN_ONLY.dumps, BUILT_IN_ONLY.loads, BUILT_IN_ONLY.encode
check_size = BUILT_IN_ONLY.check_size


class Color(enum.Enum):
    RED = 1


class Name(enum.Enum):
    ANN = "ann"


class Price(float):
    pass


class Text(str):
    __slots__ = ()


class TextList(list):
    pass


class Level(enum.IntEnum):
    HIGH = 3


class Fruit(str, enum.Enum):
    PEAR = "pear"


class Count(int):
    pass


class Day(date):
    pass


@dataclass
class Item:
    price: int = 1


Point = namedtuple("Point", "x y")


def save(contents):
    """What the session would read next time."""
    return loads(dumps(contents))


def refusal(contents):
    with pytest.raises(SessionNotSerializable) as refused:
        save(contents)
    return str(refused.value)


def nested(depth, kind=list):
    value = []
    for _ in range(depth - 1):
        value = [value] if kind is list else {"k": value}
    return value


def lists_in_lists():
    value = []
    value.append(value)
    return value


def dicts_in_dicts():
    value = {}
    value["again"] = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        0.0,
        1.0,
        -0.5,
        0.1 + 0.2,
        5e-324,
        1.7976931348623157e308,
        "",
        "größe 漢字 🍋",
        "\x00\x1f\x7f\u2028\ud7ff\ufffd",
        "</script>\"'\\",
        [],
        {},
        [1, "a", None, [2, {"b": [3]}]],
        {"": 1, "a b": 2, "größe": 3, "a.b": 4},
        nested(200),
        "x" * 100_000,
        list(range(10_000)),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_survives(value):
    back = save({"value": value})["value"]
    assert back == value
    assert type(back) is type(value)


def test_numbers_keep_their_kind():
    back = save({"numbers": [1, 1.0, True]})["numbers"]
    assert [type(number) for number in back] == [int, float, bool]


def test_order_stays():
    assert list(save({"b": 1, "a": 2})) == ["b", "a"]


@pytest.mark.parametrize(
    ("value", "back"),
    [((), []), ((1, 2), [1, 2]), ([(1, (2,))], [[1, [2]]]), ({"a": (1, {"b": ()})}, {"a": [1, {"b": []}]})],
)
def test_tuples_come_back_as_lists(value, back):
    assert save({"value": value}) == {"value": back}


@pytest.mark.parametrize("value", [OrderedDict(a=1), defaultdict(list, a=1), TextList("a")])
def test_subclasses_of_dict_and_list_survive(value):
    assert save({"value": value}) == {"value": value}


class BufferText(str):
    """As ``numpy.str_``: a str that is also a buffer, for which Python needs 3.12."""

    __slots__ = ()

    def __buffer__(self, flags):
        return memoryview(b"")


class OtherBool:
    pass


OtherBool.__name__ = "bool"  # as that of numpy


class Shown(dict):
    """Shows other values than it stores, as dicts that decode on access do."""

    def items(self):
        return [(name, f"shown {item}") for name, item in super().items()]


class Reversed(list):
    def __iter__(self):
        return super().__reversed__()


@pytest.mark.parametrize("beside", [None, b"tagged"])
def test_subclasses_come_back_as_they_show_themselves(beside):
    moved = OrderedDict(a=1, b=2)
    moved.move_to_end("a")
    stored = {"shown": Shown(a=Level.HIGH, b=float("nan")), "list": Reversed([1, 2]), "moved": moved}
    back = save({**stored, "beside": beside, "tag": Shown({"~date": 1})})
    assert back["shown"] == {"a": f"shown {Level.HIGH}", "b": "shown nan"}
    assert back["list"] == [2, 1]
    assert list(back["moved"]) == ["b", "a"]
    assert back["tag"] == {"~date": "shown 1"}


def test_what_a_subclass_shows_is_what_is_checked():
    class Hidden(TextList):
        def __iter__(self):
            return iter([Level.HIGH])

    assert "a[0]: Level, an enum" in refusal({"a": Hidden([1])})


REFUSED = [
    (float("nan"), "float nan"),
    (float("inf"), "float inf"),
    (float("-inf"), "float -inf"),
    (bytearray(b"bytes"), "bytearray"),
    (Color.RED, "Color, an enum: store its value or its name"),
    (Name.ANN, "Name, an enum: store its value or its name"),
    (Level.HIGH, "Level, an enum: store its value or its name"),
    (Fruit.PEAR, "Fruit, an enum: store its value or its name"),
    (Text("a"), "Text, which would come back as str"),
    (BufferText("a"), "BufferText, which would come back as str"),
    (OtherBool(), "tests.test_serializer.bool"),
    (Count(1), "Count, which would come back as int"),
    (Price("1.5"), "Price, which would come back as float"),
    (Day(2026, 1, 1), "Day"),
    (Item(), "Item"),
    (Point(1, 2), "Point"),
    (range(3), "range"),
    (1j, "complex"),
    (object(), "object"),
    (len, "builtin_function_or_method"),
    (2**64, "int of more than 64 bits"),
    (-(2**63) - 1, "int of more than 64 bits"),
    ("\ud800", "str with a lone surrogate"),
    ({1: "a"}, "a key of type int: 1"),
    ({None: "a"}, "a key of type NoneType: None"),
    ({(1, 2): "a"}, "a key of type tuple: (1, 2)"),
    ({Text("a"): 1}, "a key of type Text: 'a'"),
    ({"\ud800": 1}, "a key with a lone surrogate: '\\ud800'"),
]


@pytest.mark.parametrize(("value", "problem"), REFUSED, ids=lambda value: ascii(value)[:30])
@pytest.mark.parametrize(
    ("path", "wrap"),
    [
        ("value", lambda value: {"value": value}),
        ("cart[2].price", lambda value: {"user": "ann", "cart": [1, {"price": 2}, {"id": 3, "price": value}]}),
        ("a[1][0]['b c'].d", lambda value: {"a": (0, ({"b c": {"d": value}},))}),
    ],
    ids=["top", "cart", "tuples"],
)
def test_refused_with_its_path(value, problem, path, wrap):
    assert f": {path}: {problem}. " in refusal(wrap(value))


def test_refused_key_of_the_session_itself():
    assert ": the session: a key of type int: 1. " in refusal({1: "a"})


class Unprintable:
    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (b"k" * 1000, "a key of type bytes: b'kkk"),
        ("k" * 1000 + "\ud800", "a key with a lone surrogate: 'kkk"),
        (tuple(range(1000)), "a key of type tuple: (0, 1, 2"),
        (10**100, "a key of type int: 1000"),
        (10**5000, "a key of type int"),
        (Unprintable(), "a key of type Unprintable"),
    ],
    ids=lambda value: ascii(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_a_key_is_named_whatever_it_is(key, shown):
    message = refusal({"cart": {key: 1}})
    assert f": cart: {shown}" in message
    assert len(message) < 400


def test_a_bad_key_is_named_before_what_comes_after_it():
    assert ": cart: a key of type int: 5. " in refusal({"cart": {"a": 1, 5: 1j, "b": 1j}})
    assert ": cart.a: complex. " in refusal({"cart": {"a": 1j, 5: 1}})


def test_the_first_of_several_is_named():
    assert ": b: complex. " in refusal({"a": 1, "b": 1j, "c": object()})


def test_the_message_says_what_is_allowed_and_shows_no_value():
    message = refusal({"password": bytearray(b"hidden"), "other": "hidden"})
    assert "text, numbers, booleans, None, dates" in message
    assert "hidden" not in message


@pytest.mark.parametrize("value", [lists_in_lists(), dicts_in_dicts()], ids=["list", "dict"])
def test_what_contains_itself_is_refused(value):
    message = refusal({"cart": value})
    assert ": cart" in message
    assert "containing itself" in message
    assert len(message) < 600


@pytest.mark.parametrize("kind", [list, dict])
def test_the_deepest_that_JSON_holds_survives(kind):
    assert save({"cart": nested(253, kind)}) == {"cart": nested(253, kind)}
    assert "nested too deeply" in refusal({"cart": nested(254, kind)})


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: (value,), lambda value: {"k": value}])
def test_the_deepest_value_is_found(wrap):
    value = float("nan")
    for _ in range(253):
        value = wrap(value)
    message = refusal({"cart": value})
    assert ": cart" in message
    assert "...: float nan. " in message


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("depth", [255, 256, 300, 400, 500, 600, 2_000, 100_000])
def test_deep_nesting_is_refused(depth, kind):
    message = refusal({"cart": nested(depth, kind)})
    assert ": cart" in message
    assert "nested too deeply" in message
    assert len(message) < 600


# max_size


def test_max_size_is_inclusive():
    data = dumps({"a": "x" * 92})
    assert len(data) == 100
    check_size({"a": "x" * 92}, data, 100)
    with pytest.raises(SessionTooLarge):
        check_size({"a": "x" * 92}, data, 99)


def test_max_size_counts_bytes_not_characters():
    contents = {"a": "漢" * 50}
    with pytest.raises(SessionTooLarge):
        check_size(contents, dumps(contents), 100)


def test_what_is_stored_already_may_stay_as_large_as_it_is():
    contents = {"a": "x" * 92}
    data = dumps(contents)
    check_size(contents, data, 50, 100)
    check_size(contents, data, 50, 101)
    with pytest.raises(SessionTooLarge) as refused:
        check_size(contents, data, 50, 99)
    message = str(refused.value)
    assert (
        "takes 100 bytes, but sessionkit.max_size is 50 and the 99 bytes that are stored already exceed it" in message
    )


def test_a_limit_above_what_is_stored_is_the_limit():
    contents = {"a": "x" * 92}
    check_size(contents, dumps(contents), 100, 50)
    with pytest.raises(SessionTooLarge, match=r"but sessionkit\.max_size is 99; its largest"):
        check_size(contents, dumps(contents), 99, 50)


def test_too_large_names_the_largest_keys():
    contents = {"id": 1, "cart": ["x" * 300], "log": "y" * 500, "tiny": None, "draft": "z" * 400}
    with pytest.raises(SessionTooLarge) as refused:
        check_size(contents, dumps(contents), 1000)
    message = str(refused.value)
    assert "sessionkit.max_size is 1000" in message
    assert "log (502), draft (402), cart (304)" in message
    assert "tiny" not in message
    assert "yyy" not in message


# encode


def test_encode_gives_bytes_and_what_they_read_back_as():
    contents = {"cart": (1, OrderedDict(a=2)), "log": "x" * LARGE}
    data, back = encode(contents)
    assert loads(data) == back == {"cart": [1, {"a": 2}], "log": "x" * LARGE}
    assert type(back["cart"]) is list
    assert type(back["cart"][1]) is dict


@pytest.mark.parametrize(("value", "problem"), REFUSED, ids=lambda value: ascii(value)[:30])
def test_encode_refuses_what_cannot_be_saved(value, problem):
    with pytest.raises(SessionNotSerializable) as refused:
        encode({"a": [{"b": value}]})
    assert f": a[0].b: {problem}. " in str(refused.value)


# loads


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"junk",
        b"{",
        b"{}{}",
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"\x80\x04}.",
        b"\xff\xfe",
        b'{"a": NaN}',
        b"{'a': 1}",
        b"{1: 2}",
        b'{"a": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=lambda data: ascii(data)[:30],
)
def test_loads_refuses(data):
    with pytest.raises(ValueError):
        loads(data)


def test_loads():
    assert loads(b"{}") == {}
    assert loads(b' {"a": [1]} ') == {"a": [1]}
