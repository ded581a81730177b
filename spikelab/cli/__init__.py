"""The command line `spikelab`."""

__all__: list[str] = []
