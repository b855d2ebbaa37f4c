from gantry.domain.message import MESSAGE, MessageEvent, MessageState

title = "Undo works until somebody knows"


def decide(state):
    known = {MessageState.DELIVERED, MessageState.SPOKEN}
    gone = {MessageState.SENDING, MessageState.SENT}
    found = MessageState(state)
    if found in known:
        return "nothing is undone"
    if found in gone:
        return "undone, and a word goes after it: the first time holds again"
    assert (found, MessageEvent.TAKE_BACK) in MESSAGE or found is MessageState.TAKEN_BACK
    return "undone, and it is never sent"


def test_what_an_undo_finds(spec):
    """Delivered is the far end's own word; spoken is a person's call on record. Sent is neither."""
    for state, then in (
        ("queued", "undone, and it is never sent"),
        ("to_ring", "undone, and it is never sent"),
        ("failed", "undone, and it is never sent"),
        ("sending", "undone, and a word goes after it: the first time holds again"),
        ("sent", "undone, and a word goes after it: the first time holds again"),
        ("delivered", "nothing is undone"),
        ("spoken", "nothing is undone"),
    ):
        spec(when=state, then=then)


def test_the_way_of_a_message(spec):
    """What is not in this table does not happen: the database refuses it too."""
    spec.table(
        ("it is", "then", "and it is"), [(a.value, event.value, b.value) for (a, event), b in MESSAGE.items()]
    )  # fmt: skip
