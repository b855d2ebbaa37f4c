"""What a hot-lab verb says when it may not go ahead."""


class NotDone(Exception):
    """Nothing was saved; the reasons say why, all at once."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))
