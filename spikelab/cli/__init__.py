"""The command line `spikelab`."""
