"""Numbers of bytes for people."""


def mib(count: int) -> str:
    """Bytes as `312 MiB` or `4.1 GiB`."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
