"""Why something of the day plan was not done."""


class NotPossible(Exception):
    """It cannot be done as it stands, for these reasons; nothing was changed."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(reasons))
