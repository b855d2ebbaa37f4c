from gantry.domain.scheduling.costs import Costs

title = "Which of two plans is the better one"
NAMES = ("unscanned_weight", "moved", "pence", "mbq", "overtime_min", "waiting_min", "staff_mbq_min")


def decide(rows, asked):
    found = [
        (Costs(**{name: float(row[column]) for name, column in zip(NAMES, list(row)[1:], strict=True)}), row["plan"])
        for row in rows
    ]
    return [name for _, name in sorted(found)] if asked == "the plans are put in order" else min(found)[1]


def test_the_first_that_differs_decides(spec):
    """Nobody is left unscanned to keep a promise, nobody moved to save money, no money spent to save an hour."""
    spec(
        given="""
            plan                    | not scanned | moved | pence | MBq  | overtime | waiting | staff
            scans one more, moves 3 | 0           | 3     | 90000 | 9000 | 60       | 90      | 900
            moves nobody            | 2           | 0     | 50000 | 5000 | 0        | 0       | 500
            cheap, one moved        | 2           | 1     | 10000 | 1000 | 0        | 0       | 100
            cheap, late             | 2           | 0     | 49900 | 9000 | 240      | 300     | 990
        """,
        when="the plans are put in order",
        then=["scans one more, moves 3", "cheap, late", "moves nobody", "cheap, one moved"],
    )


def test_megabecquerels_tell_plans_apart_where_nothing_has_a_price(spec):
    spec(
        given="""
            plan       | not scanned | moved | pence | MBq  | overtime | waiting | staff
            draws more | 0           | 0     | 0     | 5200 | 0        | 0       | 500
            draws less | 0           | 0     | 0     | 5100 | 30       | 60      | 510
        """,
        when="the better one is asked",
        then="draws less",
    )
