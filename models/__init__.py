"""What is written down: formulations of a problem as mixed-integer linear programs."""

from qnroute.models.linear import Block, LinearModel, Matrix
from qnroute.models.link_flow import LinkFlow
from qnroute.models.link_selection import LinkSelection
from qnroute.models.path_packing import PathPacking

__all__ = ["Block", "LinearModel", "LinkFlow", "LinkSelection", "Matrix", "PathPacking"]
