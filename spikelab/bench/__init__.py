"""What `spikelab bench` runs: speed against peers or physical bounds, and accuracy on the bundled data."""

__all__: list[str] = []
