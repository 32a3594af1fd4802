"""What can go wrong on the native way."""


class NotCarried(Exception):
    """These paths are not objects of a cache: the native protocol has no words for them."""


class CairnError(OSError):
    """An answer of the server that is final, or none within the time."""


class Busy(Exception):
    """Worth another try, after `pause` seconds where the server said so."""

    def __init__(self, why, pause=None):
        super().__init__(why)
        self.pause = pause
