"""Prints the rulebook into docs/rules; with --check, fails where the committed pages differ."""

import sys

from tests.spec.book import RULES, print_book


def main(arguments: list[str]) -> int:
    book = print_book()
    if "--check" in arguments:
        stale = [
            name for name, page in book.items() if not (RULES / name).is_file() or (RULES / name).read_text() != page
        ]
        stale += [path.name for path in RULES.glob("*.md") if path.name not in book]
        if stale:
            sys.stderr.write(f"docs/rules is not what the tests say: {', '.join(sorted(stale))}. Run make rules.\n")
        return 1 if stale else 0
    RULES.mkdir(parents=True, exist_ok=True)
    for path in RULES.glob("*.md"):
        if path.name not in book:
            path.unlink()
    for name, page in book.items():
        (RULES / name).write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
