"""Scripts of many cases, each of which ends by itself: all run, and what failed is told at the end."""
import sys

CASES = []


class Wrong(Exception):
    """A case came to something else than it should."""


def case(function):
    """A case; its name is that of the function."""
    CASES.append(function)
    return function


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def name_of(one):
    return one.__name__.replace("_", " ")


def chosen():
    """The cases that have a word of the command line in their names; all without any."""
    words = [one for one in sys.argv[1:] if not one.startswith("--")]
    return [one for one in CASES if not words or any(word in name_of(one) for word in words)]


def conclude(ran, failed):
    """Says how many held, and ends the script with what did not, unless it is only to report."""
    print(f"{len(ran) - len(failed)} of {len(ran)} cases")
    if failed and "--report-only" not in sys.argv:
        sys.exit(f"FAILED: {'; '.join(failed)}")
