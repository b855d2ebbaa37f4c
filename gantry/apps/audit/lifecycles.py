"""The database's own guard on a lifecycle: the domain's table, as a trigger that stops an illegal jump by raw SQL."""

from enum import StrEnum

import pgtrigger

from gantry.domain.lifecycle import Table


def only_legal_moves[S: StrEnum, E: StrEnum](name: str, field: str, table: Table[S, E]) -> pgtrigger.FSM:
    moves = sorted({(start.value, end.value) for (start, _), end in table.items() if start is not end})
    return pgtrigger.FSM(name=name, field=field, transitions=moves)
