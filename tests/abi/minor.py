#!/usr/bin/env python3
"""What a newer minor version may not change (docs/plugin-abi.md):  python3 tests/abi/minor.py OLD.abi NEW.abi

Compares two dumps of abidw. Every member, type, constant and function of the old one must be in the new one, at the same place, of
the same type, with the same number; members may only be added behind the end of the structs that carry their size, and counts of
ops and slots may only grow. Prints a line for everything else; exit status 1 when there is one.

abidiff's suppressions don't do for this: one that lets a struct grow lets its members change places, too.
"""

import re
import sys
import xml.etree.ElementTree

GROWING_STRUCTS = {"ttm_backend", "ttm_backend_host", "ttm_device_info", "ttm_op"}
GROWING_NUMBERS = re.compile(r"TTM_OP_COUNT|ABI_.*_TENSORS")


class Dump:
    """A dump of abidw, by names."""

    def __init__(self, path):
        root = xml.etree.ElementTree.parse(path).getroot()
        self.by_id = {element.get("id"): element for element in root.iter() if element.get("id") and element.tag != "subrange"}
        self.structs = {}
        self.numbers = {}
        self.typedefs = {}
        self.functions = {}
        for element in root.iter():
            name = element.get("name")
            if element.tag == "class-decl" and element.get("is-declaration-only") != "yes":
                self.structs[name] = (int(element.get("size-in-bits")), self.members(element))
            elif element.tag == "enum-decl":
                for number in element.iter("enumerator"):
                    self.numbers[number.get("name")] = int(number.get("value"))
            elif element.tag == "typedef-decl":
                self.typedefs[name] = self.text(element.get("type-id"))
            elif element.tag == "function-decl":
                self.functions[name] = self.signature(element)

    def members(self, struct):
        found = []
        for member in struct.iter("data-member"):
            variable = member.find("var-decl")
            place = int(member.get("layout-offset-in-bits"))
            found.append((variable.get("name"), place, self.text(variable.get("type-id"))))
        return found

    def signature(self, function):
        parameters = ", ".join(self.text(parameter.get("type-id")) for parameter in function.iter("parameter"))
        return f"{self.text(function.find('return').get('type-id'))}({parameters})"

    def text(self, identifier):
        """A type in words that don't depend on the dump's numbering. Named types are compared by themselves."""
        element = self.by_id[identifier]
        if element.tag == "pointer-type-def":
            return self.text(element.get("type-id")) + " *"
        if element.tag == "qualified-type-def":
            return self.text(element.get("type-id")) + " const"
        if element.tag == "array-type-def":
            return self.text(element.get("type-id")) + f"[{element.find('subrange').get('length')}]"
        if element.tag == "function-type":
            return self.signature(element)
        return f"{element.get('name')}:{element.get('size-in-bits')}" if element.tag == "type-decl" else element.get("name")


def changed_names(what, old, new):
    """Names of one kind that are gone or stand for something else."""
    for name, was in old.items():
        if name not in new:
            yield f"{what} {name} is gone"
        elif new[name] != was:
            yield f"{what} {name} was {was}, is {new[name]}"


def changed_struct(name, old, new):
    (old_bits, old_members), (new_bits, new_members) = old, new
    for number, member in enumerate(old_members):
        here = new_members[number] if number < len(new_members) else None
        if here != member:
            yield f"{name}: member {number} was {member}, is {here}"
            return
    added = new_members[len(old_members):]
    if name in GROWING_STRUCTS:
        if added and added[0][1] < old_bits:
            yield f"{name}: {added[0][0]} lies in the padding of the old struct, so that its size doesn't tell whether it is there"
    elif added or new_bits != old_bits:
        yield f"{name}: a struct that doesn't carry its size has grown"


def changes(old, new):
    yield from changed_names("type", old.typedefs, new.typedefs)
    yield from changed_names("function", old.functions, new.functions)
    for name, was in old.numbers.items():
        grown = GROWING_NUMBERS.fullmatch(name) and new.numbers.get(name, -1) >= was
        if not grown and new.numbers.get(name) != was:
            yield f"{name} was {was}, is {new.numbers.get(name, 'gone')}"
    for name, was in old.structs.items():
        if name in new.structs:
            yield from changed_struct(name, was, new.structs[name])
        else:
            yield f"struct {name} is gone"


def main():
    found = list(changes(Dump(sys.argv[1]), Dump(sys.argv[2])))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
