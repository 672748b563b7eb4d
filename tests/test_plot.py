"""Maps: what is on the axes, for networks of every kind, and files that are whole or not there."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

import qnroute as qn
from qnroute import plot
from qnroute.allocation import Allocation, Route
from qnroute.errors import ProblemError, SolverError
from qnroute.network import Network
from qnroute.plot import plot_network, plot_result, positions, require_plotting, save_figure
from qnroute.problem import Problem
from qnroute.result import Result

PNG, SVG, PDF = b"\x89PNG\r\n", b"<?xml", b"%PDF"


@pytest.fixture(autouse=True)
def closed():
    """Every test begins with no figure open, and leaves none."""
    plt.close("all")
    yield
    plt.close("all")


def path(n, place=None, **columns):
    """n nodes in a row; `place` gives the coordinates of node i, or nothing."""
    nodes = [{"id": f"n{i}", **(place(i) if place else {})} for i in range(n)]
    links = [{"source": f"n{i}", "target": f"n{i + 1}", "p": 0.5, **columns} for i in range(n - 1)]
    return Network(nodes, links, name="row")


def globe(i):
    return {"lat": 50.0 + i, "lon": 4.0 - 2 * i}


def plane(i):
    return {"x": 10.0 * i, "y": 5.0 * i * i}


def shown(ax):
    """The axes, after everything on them was really drawn."""
    ax.figure.canvas.draw()
    return ax


def links_of(ax):
    (drawn,) = [artist for artist in ax.collections if isinstance(artist, LineCollection)]
    return drawn


def nodes_of(ax):
    (drawn,) = [artist for artist in ax.collections if isinstance(artist, PathCollection)]
    return drawn


def names_on(ax):
    return [text.get_text() for text in ax.texts]


def legend_of(ax):
    return [] if ax.get_legend() is None else [text.get_text() for text in ax.get_legend().get_texts()]


def answered(network, requests, routes, method="by hand", **more):
    """A result with the given routes, as (request, nodes as a list of numbers)."""
    problem = Problem(network, requests, name="asked", **more)
    answer = Allocation(tuple(Route(name, tuple(f"n{i}" for i in nodes)) for name, nodes in routes))
    return Result(problem, method, "heuristic", answer, qn.value(problem, answer), None, 0.0)


def asked(*ends, **fields):
    return [{"id": f"r{k}", "source": f"n{a}", "target": f"n{b}", **fields} for k, (a, b) in enumerate(ends)]


# --- the network ---


@pytest.mark.parametrize("place", [globe, plane, None])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_every_link_a_line_and_every_node_a_named_dot(n, place):
    ax = shown(plot_network(path(n, place)))
    assert len(links_of(ax).get_segments()) == n - 1
    assert len(nodes_of(ax).get_offsets()) == n
    assert names_on(ax) == [f"n{i}" for i in range(n)]
    assert ax.get_title(loc="left") == "row" and ax.get_legend() is None


def test_dots_and_lines_are_where_the_nodes_are():
    network = path(4, plane)
    ax = shown(plot_network(network))
    expected = np.array([[10.0 * i, 5.0 * i * i] for i in range(4)])
    np.testing.assert_allclose(nodes_of(ax).get_offsets(), expected)
    for segment, (u, v) in zip(links_of(ax).get_segments(), itertools.pairwise(expected)):
        np.testing.assert_allclose(segment, [u, v])
    for text, xy in zip(ax.texts, expected):
        np.testing.assert_allclose(text.xy, xy)


def test_longitude_is_across_and_latitude_up_and_degrees_are_to_scale():
    ax = shown(plot_network(path(3, globe)))
    np.testing.assert_allclose(nodes_of(ax).get_offsets(), [[4, 50], [2, 51], [0, 52]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("longitude", "latitude")
    assert ax.get_aspect() == pytest.approx(1.0 / np.cos(np.radians(51.0)))


def test_planar_coordinates_are_kilometres_at_equal_scales():
    ax = shown(plot_network(path(3, plane)))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x, km", "y, km")
    assert ax.get_aspect() == 1.0 and len(ax.get_xticks()) > 0


def test_a_layout_of_our_own_has_no_scale():
    ax = shown(plot_network(path(5)))
    assert ax.get_xlabel() == ax.get_ylabel() == "" and list(ax.get_xticks()) == list(ax.get_yticks()) == []


def test_a_layout_of_our_own_has_no_scale_though_some_places_were_known():
    ax = shown(plot_network(path(9, lambda i: plane(i) if i == 0 else {})))
    assert ax.get_xlabel() == ax.get_ylabel() == "" and list(ax.get_xticks()) == []


def test_more_channels_are_thicker_up_to_a_point():
    nodes = [{"id": f"n{i}"} for i in range(5)]
    links = [
        {"source": f"n{i}", "target": f"n{i + 1}", "p": 0.5, "channels": c} for i, c in enumerate((1, 2, 50, 10**6))
    ]
    widths = links_of(shown(plot_network(Network(nodes, links)))).get_linewidths()
    assert widths[0] < widths[1] < widths[2] == widths[3] <= 4


@pytest.mark.parametrize("place", [None, globe, plane])
def test_one_node(place):
    ax = shown(plot_network(path(1, place)))
    assert len(nodes_of(ax).get_offsets()) == 1 and names_on(ax) == ["n0"]
    assert np.isfinite(nodes_of(ax).get_offsets()).all()


def test_no_nodes():
    ax = shown(plot_network(Network([], [], name="nothing")))
    assert ax.get_title(loc="left") == "nothing" and names_on(ax) == []


@pytest.mark.parametrize("place", [None, plane])
def test_300_nodes_are_drawn_without_names(place):
    ax = shown(plot_network(path(300, place)))
    assert len(nodes_of(ax).get_offsets()) == 300 and len(links_of(ax).get_segments()) == 299
    assert names_on(ax) == []
    assert np.isfinite(nodes_of(ax).get_offsets()).all()


@pytest.mark.parametrize(("n", "named"), [(60, 60), (61, 0)])
def test_names_while_they_can_be_read(n, named):
    assert len(names_on(plot_network(path(n, plane)))) == named


def test_inserted_repeaters_are_small_and_have_no_name():
    network = path(2, globe, length_km=400.0)
    network = qn.Network(network.nodes(), network.links())
    from qnroute.repeaters import insert_repeaters

    ax = shown(plot_network(insert_repeaters(network, 100, "repeater")))
    assert names_on(ax) == ["n0", "n1"]
    sizes = nodes_of(ax).get_sizes()
    assert len(sizes) == 5 and max(sizes[2:]) < min(sizes[:2])


def test_long_names_are_cut():
    ax = plot_network(Network([{"id": "x" * 500}, {"id": "y"}], []))
    assert len(names_on(ax)[0]) <= 24


@pytest.mark.parametrize("name", ["$\\frac$", "$a^$", "100 $", "a_b^c", "{curly}", "50 %", "\\alpha", "_low"])
def test_names_are_text_not_formulas(name):
    """What people call their nodes, requests and networks is shown as it stands."""
    network = Network([{"id": name}, {"id": "b"}], [{"source": name, "target": "b", "p": 0.5}], name=name)
    assert names_on(shown(plot_network(network)))[0] == name
    problem = Problem(network, [{"id": name, "source": name, "target": "b"}], name=name)
    ax = shown(plot_result(qn.solve(problem, "greedy")))
    assert len(legend_of(ax)) == 1 and name in legend_of(ax)[0]


def test_given_axes_are_drawn_on_and_no_others_are_made():
    figure, (left, right) = plt.subplots(1, 2)
    assert plot_network(path(3, plane), right) is right
    assert plt.get_fignums() == [figure.number]
    assert len(left.collections) == 0 and len(right.collections) == 2


@pytest.mark.parametrize(("chosen", "used"), [(None, "agg"), ("svg", "svg")])
def test_without_a_display_figures_are_agg_unless_another_backend_was_chosen(chosen, used):
    """In a process of its own; the one chosen might be that of a notebook, which must keep showing its figures."""
    code = """if True:
        import matplotlib
        from qnroute.network import Network
        from qnroute.plot import plot_network
        plot_network(Network([{"id": "a"}], [])).figure.canvas.draw()
        print(matplotlib.get_backend().lower())"""
    kept = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | ({"MPLBACKEND": chosen} if chosen else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [used]


# --- where nodes go ---


def test_known_places_are_kept_and_geography_comes_first():
    both = path(4, lambda i: globe(i) | plane(i))
    xy, kind = positions(both)
    assert kind == "degrees" and xy.tolist() == [[4.0 - 2 * i, 50.0 + i] for i in range(4)]
    xy, kind = positions(path(4, plane))
    assert kind == "km" and xy.tolist() == [[10.0 * i, 5.0 * i * i] for i in range(4)]


def test_nodes_without_a_place_are_put_beside_their_neighbours():
    network = path(7, lambda i: {} if i in (2, 5) else globe(i))
    xy, kind = positions(network)
    assert kind == "degrees" and np.isfinite(xy).all()
    span = np.ptp(xy, axis=0).max()
    for i in (2, 5):
        assert np.hypot(*(xy[i] - (xy[i - 1] + xy[i + 1]) / 2)) < 0.05 * span
    assert len({tuple(place) for place in xy.tolist()}) == 7


def test_chains_of_unplaced_nodes_are_reached_step_by_step():
    xy, _ = positions(path(9, lambda i: {} if 3 <= i <= 6 else plane(i)))
    assert np.isfinite(xy).all() and len({tuple(place) for place in xy.tolist()}) == 9


def test_a_part_without_any_place_is_put_in_the_middle():
    nodes = [
        {"id": "a", "x": 0.0, "y": 0.0},
        {"id": "b", "x": 4.0, "y": 2.0},
        {"id": "c", "x": 2.0, "y": 1.0},
        {"id": "d"},
    ]
    xy, _ = positions(Network(nodes, []))
    assert xy[3].tolist() == [2.0, 1.0]


def test_half_a_coordinate_is_no_place():
    network = path(3, lambda i: {"lat": 1.0 * i} | ({} if i == 1 else {"lon": 2.0 * i}))
    xy, kind = positions(network)
    assert kind == "degrees" and np.isfinite(xy).all() and xy[[0, 2]].tolist() == [[0.0, 0.0], [4.0, 2.0]]


def test_with_few_places_known_the_structure_decides():
    xy, kind = positions(path(10, lambda i: globe(i) if i < 3 else {}))
    assert kind == "layout" and xy.shape == (10, 2) and np.isfinite(xy).all()


def test_the_same_network_has_the_same_layout():
    for n in (5, 200):
        np.testing.assert_array_equal(positions(path(n))[0], positions(path(n))[0])


def test_nodes_all_in_one_place():
    ax = shown(plot_network(path(4, lambda i: {"lat": 50.0, "lon": 4.0})))
    assert len(nodes_of(ax).get_offsets()) == 4


# --- results ---


def test_every_hop_of_every_route_is_a_line_in_the_colour_of_its_request():
    result = answered(path(5, plane), asked((0, 3), (4, 2)), [("r0", [0, 1, 2, 3]), ("r1", [4, 3, 2])])
    ax = shown(plot_result(result))
    assert len(ax.lines) == 5
    colours = [to_hex(line.get_color()) for line in ax.lines]
    assert len(set(colours[:3])) == len(set(colours[3:])) == 1 and colours[0] != colours[4]
    assert legend_of(ax) == ["r0: n0 - n3", "r1: n4 - n2"]
    assert len(links_of(ax).get_segments()) == 4 and len(nodes_of(ax).get_offsets()) == 5


def test_lines_run_from_node_to_node():
    ax = shown(plot_result(answered(path(3, plane), asked((0, 2)), [("r0", [0, 1, 2])])))
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0, 0], [10, 5]], [[10, 5], [20, 20]]]


def test_routes_that_share_a_link_run_side_by_side():
    """Four over one link, one of them the other way: four parallel lines, none on another."""
    network = path(2, plane, channels=9)
    requests = [*asked((0, 1), routes=3), {"id": "back", "source": "n1", "target": "n0"}]
    ax = shown(plot_result(answered(network, requests, [("r0", [0, 1])] * 3 + [("back", [1, 0])])))
    lines = [np.array(sorted(line.get_xydata().tolist())) for line in ax.lines]
    assert len({tuple(map(tuple, np.round(line, 9))) for line in lines}) == 4
    for line in lines:
        direction = line[1] - line[0]
        np.testing.assert_allclose(direction, [10.0, 5.0], atol=1e-9)
        assert np.abs(line - [[0, 0], [10, 5]]).max() < 0.2
    assert len({to_hex(line.get_color()) for line in ax.lines}) == 2
    assert legend_of(ax) == ["r0: n0 - n1"] * 3 + ["back: n1 - n0"]


def test_ends_of_routes_are_filled():
    ax = shown(plot_result(answered(path(4, plane), asked((0, 2)), [("r0", [0, 1, 2])])))
    filled = [to_hex(colour) != "#ffffff" for colour in nodes_of(ax).get_facecolors()]
    assert filled == [True, False, True, False]


@pytest.mark.parametrize(("routes", "entries"), [(14, 14), (15, 15), (40, 15)])
def test_long_legends_end_with_a_count(routes, entries):
    network = path(2, plane, channels=50)
    result = answered(network, asked((0, 1), routes=50), [("r0", [0, 1])] * routes)
    legend = legend_of(shown(plot_result(result)))
    assert len(legend) == entries
    assert (legend[-1] == f"and {routes - 14} more") == (routes > 14)


def test_many_requests_have_many_colours():
    network = path(2, plane, channels=50)
    result = answered(network, asked(*[(0, 1)] * 25), [(f"r{k}", [0, 1]) for k in range(25)])
    assert len({to_hex(line.get_color()) for line in shown(plot_result(result)).lines if len(line.get_xdata())}) == 25


def test_no_routes_no_lines_and_no_legend():
    ax = shown(plot_result(answered(path(3, globe), [], [])))
    assert len(ax.lines) == 0 and ax.get_legend() is None
    assert "0 chosen, objective 0" in ax.get_title(loc="left")


def test_the_title_says_what_was_found_and_how_surely(contract_example):
    part = contract_example["network"]
    problem = Problem(Network(part["nodes"], part["links"]), contract_example["requests"], name="diamond")
    results = [qn.solve(problem, method) for method in ("greedy", "exact")]
    results.append(replace(results[1], status="feasible", bound=0.675))
    titles = [shown(plot_result(result)).get_title(loc="left") for result in results]
    assert titles == [
        "diamond: greedy, 1 chosen, objective 0.648 (heuristic)",
        "diamond: exact, 1 chosen, objective 0.648 (optimal)",
        "diamond: exact, 1 chosen, objective 0.648 (feasible, gap 4 %)",
    ]


def test_selected_links_are_lines():
    network = path(5, plane)
    result = qn.solve(Problem(network, task="link-selection", name="pick"), "exact")
    ax = shown(plot_result(result))
    assert len(ax.lines) == len(result.allocation.links) == 2
    xy = positions(network)[0]
    expected = [[xy[network.index[u]].tolist(), xy[network.index[v]].tolist()] for u, v in result.allocation.links]
    assert [line.get_xydata().tolist() for line in ax.lines] == expected
    assert sum(to_hex(colour) != "#ffffff" for colour in nodes_of(ax).get_facecolors()) == 4
    nothing = qn.solve(Problem(network, task="link-selection", rules={"degree": 0}), "exact")
    assert len(shown(plot_result(nothing)).lines) == 0


def test_a_result_on_a_network_without_places():
    ax = shown(plot_result(answered(path(4), asked((0, 3)), [("r0", [0, 1, 2, 3])])))
    assert len(ax.lines) == 3 and ax.get_xlabel() == ""


# --- files ---


@pytest.mark.parametrize(("ending", "magic"), [(".png", PNG), (".svg", SVG), (".pdf", PDF)])
def test_files_of_every_kind_are_written_and_figures_closed(ending, magic, tmp_path):
    target = tmp_path / f"map{ending}"
    target.write_text("old")
    save_figure(plot_network(path(3, plane)), str(target))
    assert target.read_bytes().startswith(magic) and os.listdir(tmp_path) == [target.name]
    assert plt.get_fignums() == []


def test_a_picture_is_written_as_any_other_file_is(tmp_path, monkeypatch):
    (tmp_path / "real.png").write_text("old")
    (tmp_path / "real.png").chmod(0o640)
    (tmp_path / "map.png").symlink_to("real.png")
    save_figure(plot_network(path(3, plane)), str(tmp_path / "map.png"))
    assert (tmp_path / "map.png").is_symlink() and (tmp_path / "real.png").read_bytes().startswith(PNG)
    assert (tmp_path / "real.png").stat().st_mode & 0o777 == 0o640

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProblemError, match=r"map\.png: cannot be written: No space left on device"):
        save_figure(plot_network(path(3, plane)), str(tmp_path / "map.png"))
    assert sorted(os.listdir(tmp_path)) == ["map.png", "real.png"] and plt.get_fignums() == []


def test_a_place_that_cannot_be_written_is_named_and_the_figure_closed(tmp_path):
    target = str(tmp_path / "missing" / "map.png")
    with pytest.raises(ProblemError, match="no folder") as caught:
        save_figure(plot_network(path(3, plane)), target)
    assert caught.value.source == target
    assert plt.get_fignums() == [] and os.listdir(tmp_path) == []


def test_a_failure_while_drawing_leaves_nothing_behind(tmp_path, monkeypatch):
    ax = plot_network(path(3, plane))

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ax.figure, "savefig", fail)
    (tmp_path / "map.png").write_text("old")
    with pytest.raises(ProblemError, match="cannot be written: No space left on device"):
        save_figure(ax, str(tmp_path / "map.png"))
    assert os.listdir(tmp_path) == ["map.png"] and (tmp_path / "map.png").read_text() == "old"
    assert plt.get_fignums() == []


def test_pictures_that_could_not_be_made_are_refused_beforehand(monkeypatch):
    for name in ("map.png", "a/b.svg", "x.pdf"):
        require_plotting(name)
    for name in ("map.gif", "map", "png", ""):
        with pytest.raises(ProblemError, match=r"expected a name ending in \.png, \.svg, \.pdf"):
            require_plotting(name)
    monkeypatch.setattr(plot.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SolverError, match="plots need matplotlib: pip install"):
        require_plotting("map.png")
