"""Plots of runs, and self-contained HTML pages: one sums up a trained network, one plays a recording.

Importing it loads matplotlib.
"""

from spikelab.report.course import dynamics
from spikelab.report.energy import energy_bars, energy_basis, energy_section, energy_text
from spikelab.report.neurons import fi_curve, responses
from spikelab.report.page import Picture, Section, write_page
from spikelab.report.player import write_player
from spikelab.report.plots import confusion, learning_curve, potentials, raster, spike_rates
from spikelab.report.summary import report_page

__all__ = [
    "Picture",
    "Section",
    "confusion",
    "dynamics",
    "energy_bars",
    "energy_basis",
    "energy_section",
    "energy_text",
    "fi_curve",
    "learning_curve",
    "potentials",
    "raster",
    "report_page",
    "responses",
    "spike_rates",
    "write_page",
    "write_player",
]
