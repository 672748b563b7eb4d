"""One run of SimQN on the network and requests that standard input gives as JSON; its figures as JSON.

Started by `simulators` in an interpreter that has the package ``qns``; imports nothing of qnroute. The application is
SimQN's own EntanglementDistributionApp. As it has no answer to a lost qubit, whose partners would fill the memories
for ever, the channel here frees them.
"""

import json
import random
import sys
import time


def main() -> None:
    """Read, run, print."""
    try:
        import qns.simulator.simulator  # noqa: F401
    except ImportError:
        sys.exit("qns is not installed")
    print(json.dumps(figures(json.load(sys.stdin))))


def figures(given: dict) -> dict:
    """CPU seconds of ``Simulator.run`` alone, pairs delivered, mean fidelity of these."""
    from qns.network import QuantumNetwork
    from qns.network.route.dijkstra import DijkstraRouteAlgorithm
    from qns.simulator.simulator import Simulator

    random.seed(given["seed"])
    simulator = Simulator(0, given["slots"], accuracy=1_000_000)  # a slot is a second
    network, apps = QuantumNetwork(route=DijkstraRouteAlgorithm()), _nodes(given)
    nodes = [app.place for app in apps]
    for node in nodes:
        network.add_node(node)
    for channel in _channels(given, nodes):
        network.add_qchannel(channel)
    network.build_route()
    for source, target in given["pairs"]:
        network.add_request(nodes[source], nodes[target], {"send_rate": 1 / given["period"]})
    network.install(simulator)
    start = time.process_time()
    simulator.run()
    spent = time.process_time() - start
    made = [pair.fidelity for app in apps for pair in app.success]
    tried = sum(app.send_count for app in apps)
    return {"cpu_s": spent, "delivered": len(made), "asked": tried, "fidelity": sum(made) / max(len(made), 1)}


def _nodes(given: dict) -> list:
    from qns.entity.memory.memory import QuantumMemory
    from qns.entity.node.node import QNode
    from qns.network.protocol.entanglement_distribution import EntanglementDistributionApp

    apps = []
    for i in range(given["nodes"]):
        node, app = QNode(f"n{i}"), EntanglementDistributionApp(init_fidelity=given["fidelity"])
        node.add_memory(QuantumMemory(f"m{i}", node, capacity=given["memory"], decoherence_rate=given["decoherence"]))
        node.add_apps(app)
        app.place = node
        apps.append(app)
    return apps


def _channels(given: dict, nodes: list) -> list:
    """A quantum and a classical channel for each link; a classical one between the ends of each request."""
    from qns.entity.cchannel.cchannel import ClassicChannel
    from qns.entity.qchannel.qchannel import QuantumChannel

    class Channel(QuantumChannel):
        def send(self, qubit, next_hop):
            if random.random() < 1.0 - given["p"]:
                _freed(self, qubit, next_hop)
            else:
                super().send(qubit, next_hop)

    links = given["links"]
    made = [Channel(f"q{i}", [nodes[u], nodes[v]], bandwidth=1, delay=given["delay"]) for i, (u, v) in enumerate(links)]
    ends = {tuple(sorted(pair)) for pair in [*links, *given["pairs"]]}
    between = {ends: ClassicChannel(f"c{ends}", [nodes[i] for i in ends], delay=given["delay"]) for ends in ends}
    for channel, (u, v) in zip(made, links):
        nodes[u].add_qchannel(channel)
        nodes[v].add_qchannel(channel)
    for (u, v), channel in between.items():
        nodes[u].add_cchannel(channel)
        nodes[v].add_cchannel(channel)
    return made


def _freed(channel, qubit, next_hop) -> None:
    """Forget a try whose qubit was lost: what the sender and the source keep for it."""
    sender = next(node for node in channel.node_list if node is not next_hop)
    for node in {sender, qubit.src}:
        app = node.apps[0]
        transmit = app.state.pop(qubit.transmit_id, None)
        for name in (transmit.first_epr_name, transmit.second_epr_name) if transmit else ():
            if name is not None:
                app.memory.read(name)


if __name__ == "__main__":
    main()
