"""Writes spellings of entity keys that are one key to Python, and so to Feast: one JSON array a line, a rule and then values.

The rules are those by which Feast converts a JSON value to the type of a join key (feast.type_map): int(), float(), str(), and
uuid.UUID(). A write's values go through pandas first, which makes floats of a column's integers where one value is a float.
crates/model/tests/spellings.rs reads the file that this program has written; spellings.test.mjs writes it again and compares.
The output depends on nothing but the seed. With `--feast` as an argument, Feast's own conversion is asked as well.
"""

import json
import random
import sys
import uuid

SEED = 17
MOST_IN_A_LINE = 40

# What str.isspace() says yes to, and int() and float() read over at both ends. Some only beside characters past ASCII.
SPACES = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
# The zeros of some scripts that every Python since 3.6 knows, within the first plane and past it.
ZEROS = [0x30, 0x660, 0x6F0, 0x966, 0xE50, 0x1810, 0xA8D0, 0xFF10, 0x104A0, 0x11066, 0x1D7CE, 0x1D7F6, 0x1E950]
WORDS = ["true", "True", "TRUE", "false", "False", "inf", "-inf", "Infinity", "+INFINITY", "nan", "-NaN", "None", ""]
NAMES = ["c1", "C1", "zoë", "a_b", "a b", "1e", "e5", "0x10", "1-2", "二", "quote\"\\slash", "x\x00", "🚕 1", "½ km"]
SNOWFLAKES = [1795420800000123456, 9007199254740993, 9007199254740992, 2**62 + 1, 2**63 - 1, -(2**63), 10**19]


class Number(str):
    """A JSON number, which stays the text that it is."""


def in_script(text, zero):
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in text)


def with_underscores(chance, text):
    digits = [c + "_" if c in "0123456789" and d in "0123456789" and chance.random() < 0.3 else c for c, d in zip(text, text[1:])]
    return "".join(digits) + text[-1:]


def texts_of(chance, number):
    """Texts that int() or float() may read as this number, and a few that neither does."""
    plain = [str(number), str(number) + ".0", str(number) + ".7", repr(float(number)), f"{float(number):e}", str(float(number)).upper()]
    plain += [str(number) + "e0", str(number) + ".", str(number) + "0e-1", f"{number}.000000000000000000001"]
    for text in plain:
        sign, digits = ("-", text[1:]) if text.startswith("-") else (chance.choice(["", "", "+"]), text)
        digits = chance.choice(["", "", "0", "000"]) + digits
        digits = chance.choice([digits, digits, with_underscores(chance, digits)])
        spaces = ["".join(chance.choices(SPACES, k=chance.choice([0, 0, 1, 2]))) for _ in range(2)]
        yield spaces[0] + in_script(sign + digits, chance.choice([0x30] + ZEROS)) + spaces[1]


def numbers_of(chance, number):
    """JSON numbers about this one."""
    yield from (Number(text) for text in [str(number), f"{number}.0", f"{number}.7", f"{number}e0", f"{number}.0E+0"])
    yield Number(json.dumps(float(number)))
    yield Number(f"{float(number):.17e}")
    if number % 100 == 0:
        yield Number(f"{number // 100}e2")


def uuids_of(chance):
    digits = f"{chance.getrandbits(128):032x}" if chance.random() < 0.7 else f"{chance.randrange(10**31, 10**32)}"
    one = str(uuid.UUID(digits))
    return [digits, digits.upper(), one, one.upper(), "{" + one + "}", "urn:uuid:" + one]


def pool(chance):
    numbers = [0, 1, 2, 5, 17, 100, 1001, 1002] + SNOWFLAKES + [-n for n in (1, 7, 1001)]
    numbers += [chance.randrange(10 ** chance.randint(1, 22)) for _ in range(60)]
    values = [True, False, *WORDS, *NAMES]
    values += [Number(text) for text in ["0.5", "-0.5", "-0", "-0.0", "1e-7", "0.1", "1E400", "5e-324", "1.5e300", "9007199254740993.0"]]
    for number in numbers:
        values += [*texts_of(chance, number), *numbers_of(chance, number)]
    for _ in range(20):
        values += uuids_of(chance)
    return values


def as_python(value):
    """The value as Feast's server has it, which reads JSON by Python's own json."""
    return json.loads(value) if isinstance(value, Number) else value


def forms_of(value):
    """The value as a read has it, and as a write may have it."""
    yield as_python(value)
    if isinstance(value, Number):
        try:
            yield float(as_python(value))
        except OverflowError:
            pass


def results(value):
    """What the value is by each rule: (rule, key) pairs."""
    for form in forms_of(value):
        for rule, convert in (("int64", int), ("double", float), ("string", str)):
            try:
                yield rule, repr(convert(form))
            except (ValueError, OverflowError):
                pass
        if isinstance(form, (bool, int, float)) and form in (0, 1):
            yield "bool", repr(bool(form))
    if isinstance(value, str) and not isinstance(value, Number):
        try:
            yield "uuid", str(uuid.UUID(value))
        except ValueError:
            pass


def text_of(value):
    return str(value) if isinstance(value, Number) else json.dumps(value)


def groups():
    chance = random.Random(SEED)
    found = {}
    for value in pool(chance):
        for result in results(value):
            found.setdefault(result, {}).setdefault(text_of(value), value)
    for (rule, _), values in sorted(found.items()):
        if len(values) > 1:
            yield rule, list(values.values())[:MOST_IN_A_LINE]


def check_with_feast():
    """Fails unless Feast converts the values of each line to one value of the line's type, or refuses them."""
    from feast.type_map import python_values_to_proto_values
    from feast.value_type import ValueType

    values_checked = 0
    for rule, values in groups():
        # Feast keys nothing by the other types.
        if rule not in ("int64", "string"):
            continue
        shared = None
        for value in values:
            kept = set()
            for form in forms_of(value):
                try:
                    [proto] = python_values_to_proto_values([form], ValueType[rule.upper()])
                except (ValueError, OverflowError):
                    continue
                kept.add(proto.SerializeToString())
            # Python reads integers that no key of 64 bits holds; they are no keys to Feast.
            if kept:
                shared = kept if shared is None else shared & kept
                values_checked += 1
        if shared is not None and not shared:
            raise SystemExit(f"{rule}: these are not one key to Feast: {[text_of(value) for value in values]}")
    print(f"{values_checked} values are the same keys to Feast as to Python")


def main():
    if "--feast" in sys.argv:
        return check_with_feast()
    for rule, values in groups():
        print("[" + ",".join([json.dumps(rule), *map(text_of, values)]) + "]")


if __name__ == "__main__":
    main()
