"""The progress bar, on terminals only."""

from lightning.pytorch.callbacks import RichProgressBar
from rich import get_console


class TerminalProgressBar(RichProgressBar):
    """Lightning's Rich bar where there is a terminal or notebook to draw on; silent in pipes and log files.

    Args:
        refresh_rate: redraws per second, and batches between two updates. (Lightning's default of 100 redraws per
            second costs a noticeable part of a small CPU.)
    """

    def __init__(self, refresh_rate: int = 4) -> None:
        super().__init__(refresh_rate=refresh_rate)
        console = get_console()
        if not (console.is_terminal or console.is_jupyter):
            self.disable()

    def enable(self) -> None:
        """Lightning enables the bar of the first rank; a bar without a terminal stays off."""
        console = get_console()
        if console.is_terminal or console.is_jupyter:
            super().enable()
