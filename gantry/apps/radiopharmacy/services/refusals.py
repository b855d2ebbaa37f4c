"""What a hot-lab verb says when it may not go ahead."""


class NotDone(Exception):
    """Nothing was saved; the reasons say why, all at once. Some may be lifted by a named override."""

    def __init__(self, reasons: list[str], *, may_override: bool = False) -> None:
        self.reasons = reasons
        self.may_override = may_override
        super().__init__("; ".join(reasons))
