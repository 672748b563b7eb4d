"""From a file of another tool to a model that any MILP solver reads."""

import tempfile
from pathlib import Path

import qnroute as qn

GML = """
graph [
  node [ id 0 label "Delft" Latitude 52.01 Longitude 4.36 ]
  node [ id 1 label "The Hague" Latitude 52.08 Longitude 4.31 ]
  node [ id 2 label "Leiden" Latitude 52.16 Longitude 4.49 ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 1 ]
]
"""

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "randstad.gml"
    path.write_text(GML)
    network = qn.load_network(path, hardware="trapped-ion")
    for note in network.notes:
        print("note:", note)
    problem = qn.Problem(network, [qn.Request("r1", "Delft", "Leiden", min_fidelity=0.8)])
    for written in qn.models.LinkFlow(problem).write(str(Path(folder) / "randstad.mps")):
        print("wrote", Path(written).name, Path(written).stat().st_size, "bytes")
