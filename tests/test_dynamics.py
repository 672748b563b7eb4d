import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnroute.errors import ProblemError
from qnroute.generate import grid
from qnroute.network import Network
from qnroute.simulation.dynamics import KINDS, LinkSeries, draw_dynamics, dynamics, dynamics_of

NETWORK = grid(rows=3, columns=3, p=(0.2, 0.8), seed=4)  # 12 links
MANY = grid(rows=20, columns=20)  # 760 links with p = 0.5


def logit(p):
    return np.log(p / (1 - p))


# --- the series ---


def test_the_last_epoch_goes_on():
    series = LinkSeries([[0.1, 0.2], [0.3, 0.0]], 3)
    assert [series.at(t).tolist() for t in (0, 2, 3, 100)] == [[0.1, 0.2], [0.1, 0.2], [0.3, 0.0], [0.3, 0.0]]
    known = LinkSeries(series.p, 3, [[0.9, 1.0], [0.3, 0.8]])
    assert known != series and series != known and series.fidelity is None
    assert known != LinkSeries(series.p, 3, [[0.9, 1.0], [0.3, 0.7]]) and known != LinkSeries(
        series.p, 2, known.fidelity
    )
    for one in (series, pickle.loads(pickle.dumps(series)), known, pickle.loads(pickle.dumps(known))):
        assert one == (series if one.fidelity is None else known)
        for values in (one.p, one.fidelity):
            if values is not None:
                with pytest.raises(ValueError, match="read-only"):
                    values[0, 0] = 1


@pytest.mark.parametrize(
    ("p", "epoch", "told"),
    [
        ([[0.5, 1.5]], 1, r"p\[0\]\[1\]: found 1.5, expected in \[0, 1\]"),
        ([[np.nan]], 1, "found nan"),
        ([0.5], 1, "expected a table of epochs by links"),
        ([[0.5], [0.5, 0.5]], 1, "expected a table of epochs by links"),
        (np.empty((0, 3)), 1, "expected a table of epochs by links"),
        ([[0.5]], 0, "slots_per_epoch: found 0, expected an integer, at least 1"),
    ],
)
def test_bad_series(p, epoch, told):
    with pytest.raises(ProblemError, match=told):
        LinkSeries(p, epoch)


@pytest.mark.parametrize(
    ("fidelity", "told"),
    [
        ([[0.9, 0.25]], r"fidelity\[0\]\[1\]: found 0.25, expected in \(0.25, 1\]"),
        ([[0.9, 1.1]], r"fidelity\[0\]\[1\]: found 1.1"),
        ([[0.9, np.nan]], "found nan"),
        ([[0.9]], r"fidelity: found the shape \(1, 1\), expected that of p, \(1, 2\)"),
        ([0.9, 0.9], "fidelity: found .*, expected a table of epochs by links"),
    ],
)
def test_bad_fidelities(fidelity, told):
    with pytest.raises(ProblemError, match=told):
        LinkSeries([[0.5, 0.5]], 1, fidelity)


# --- what all kinds share ---


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_round_trip_and_repeat_themselves(kind):
    record = dynamics(kind)
    assert dynamics_of(json.loads(json.dumps(record.to_dict()))) == record
    series = [draw_dynamics(NETWORK, each, 300, seed=[7, 1]) for each in (record, kind, [record.to_dict()])]
    assert series[0] == series[1] == series[2]
    other = draw_dynamics(NETWORK, record, 300, seed=[7, 2])
    assert (series[0] == other) == (kind in ("constant", "diurnal"))


def test_nothing_changes_in_one_epoch():
    for records in ([], "constant", [{"kind": "constant"}]):
        series = draw_dynamics(NETWORK, records, 300, seed=0)
        assert series.p.tolist() == [NETWORK.p.tolist()]
        assert np.array_equal(series.at(299), NETWORK.p)


def test_epochs_cover_the_run():
    assert draw_dynamics(NETWORK, "drift", 100, seed=0).p.shape == (100, 12)
    assert draw_dynamics(NETWORK, "drift", 100, seed=0, slots_per_epoch=30).p.shape == (4, 12)
    assert draw_dynamics(NETWORK, "drift", 0, seed=0).p.shape == (1, 12)


def test_a_record_at_the_end_leaves_the_luck_of_the_others():
    drift = draw_dynamics(NETWORK, "drift", 500, seed=3)
    both = draw_dynamics(NETWORK, ["drift", "outages"], 500, seed=3)
    up = both.p > 0
    assert 0 < np.mean(~up) < 0.5
    assert np.array_equal(both.p[up], drift.p[up])


@given(
    st.lists(st.sampled_from(["constant", "drift", "diurnal", "outages", "jumps"]), max_size=4),
    st.floats(0, 100),
    st.floats(0, 0.999),
    st.integers(0, 40),
    st.integers(1, 9),
    st.integers(0, 2**40),
)
def test_p_stays_a_probability(kinds, sd, amplitude, slots, step, seed):
    given_values = {
        "drift": {"sd": sd, "fidelity_sd": sd, "shared": amplitude}, "jumps": {"sd": sd, "fidelity_sd": sd, "every": 3},
        "diurnal": {"amplitude": amplitude, "of": "p"}, "outages": {"mttr": 1 + sd},
    }  # fmt: skip
    network = Network.from_columns("abc", [0, 0, 1], [1, 2, 2], p=[1.0, 0.3, 1e-300], fidelity=[1.0, 0.9, 0.2500001])
    records = [dynamics(kind, **given_values.get(kind, {})) for kind in kinds]
    series = draw_dynamics(network, records, slots, seed=seed, slots_per_epoch=step)
    assert np.all((series.p >= 0) & (series.p <= 1))
    assert (series.fidelity is None) == (sd == 0 or not {"drift", "jumps"} & set(kinds))
    assert series.fidelity is None or np.all(series.fidelity[:, 0] == 1.0)  # no noise, whatever it is multiplied by


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([3, "drif"], r"dynamics\[0\]: found 3, .*; dynamics\[1\]: found 'drif', .*did you mean drift"),
        (None, r"dynamics\[0\]: found None"),
        ({"sd": 1}, "kind: missing, expected one of constant"),
        ({"kind": "drift", "sd": -1, "x": 2}, "drift.sd: found -1, .*drift.x: unknown field"),
        ({"kind": "drift", "start": "later"}, "expected 'stationary' or 'nominal'"),
        ({"kind": "diurnal", "amplitude": 1.0}, "diurnal.amplitude: found 1.0, expected less than 1"),
        ({"kind": "outages", "mtbf": 0.5}, "outages.mtbf: found 0.5"),
        ({"kind": "drift", "fidelity_sd": -1, "shared": 2}, "drift.fidelity_sd: found -1, .*drift.shared: found 2"),
        ({"kind": "jumps", "every": 0.5, "sd": 101}, "jumps.every: found 0.5, .*jumps.sd: found 101"),
        ({"kind": "outages", "share": float("nan")}, "outages.share"),
    ],
)
def test_bad_records(records, told):
    with pytest.raises(ProblemError, match=told) as error:
        draw_dynamics(NETWORK, records, 10, seed=0)
    assert "\n" not in str(error.value)


def test_bad_sizes():
    with pytest.raises(ProblemError, match="expected 25000000 values at most; raise it to 481"):
        draw_dynamics(NETWORK, "drift", 10**9, seed=0, slots_per_epoch=5)
    draw_dynamics(NETWORK, "constant", 10**9, seed=0)
    for name, options in {"seed": {"seed": -1}, "slots_per_epoch": {"seed": 0, "slots_per_epoch": 0}}.items():
        with pytest.raises(ProblemError, match=name):
            draw_dynamics(NETWORK, "drift", 10, **options)


# --- drift ---


@pytest.mark.parametrize("step", [1, 7])
def test_drift_has_the_variance_and_correlation_of_its_process(step):
    x = logit(draw_dynamics(MANY, dynamics("drift", sd=0.4, correlation_slots=20), 400 * step, seed=1,
                            slots_per_epoch=step).p)  # fmt: skip
    keep = np.exp(-step / 20)
    # variance of a mean of squares (and of products, lag 1) over a Gaussian AR(1), to first order in 1/n; 4 sigma
    inflated = (1 + keep**2) / (1 - keep**2)
    margin = 4 * 0.16 * np.sqrt(2 * inflated / x.size)
    assert abs(np.mean(x**2) - 0.16) < margin
    assert abs(np.mean(x[1:] * x[:-1]) - 0.16 * keep) < margin
    assert abs(np.mean(x[10:] * x[:-10]) - 0.16 * keep**10) < margin
    assert abs(np.mean(x[0] ** 2) - 0.16) < 4 * 0.16 * np.sqrt(2 / x.shape[1])  # stationary from the first


def test_drift_may_start_at_the_nominal_value():
    p = draw_dynamics(NETWORK, dynamics("drift", start="nominal"), 50, seed=1).p
    assert np.allclose(p[0], NETWORK.p, rtol=1e-14)
    x = logit(draw_dynamics(MANY, dynamics("drift", sd=1, correlation_slots=30, start="nominal"), 50, seed=2).p)
    variance = 1 - np.exp(-2 * np.arange(50) / 30)
    assert np.all(np.abs(np.mean(x**2, axis=1) - variance) <= 4.5 * variance * np.sqrt(2 / x.shape[1]))


def louder(series, network):
    """ln of what the noise of fresh pairs is multiplied by."""
    return np.log(np.log((4 * series.fidelity - 1) / 3) / np.log((4 * network.fidelity - 1) / 3))


NOISY = grid(rows=20, columns=20, fidelity=0.9)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_noise_drifts_as_p_does(shared):
    record = dynamics("drift", sd=0.4, fidelity_sd=0.3, correlation_slots=20, shared=shared)
    series = draw_dynamics(NOISY, record, 400, seed=3)
    found, keep = {0.4: logit(series.p), 0.3: louder(series, NOISY)}, np.exp(-1 / 20)
    inflated = (1 + keep**2) / (1 - keep**2) * (1 + 3 * shared)  # links of a node know of each other
    for sd, x in found.items():
        margin = 4 * sd**2 * np.sqrt(2 * inflated / x.size)
        assert abs(np.mean(x**2) - sd**2) < margin
        assert abs(np.mean(x[1:] * x[:-1]) - sd**2 * keep) < margin
        assert abs(np.mean(x[10:] * x[:-10]) - sd**2 * keep**10) < margin
    both = np.mean(found[0.4] * found[0.3])
    assert abs(both) < 4 * 0.4 * 0.3 * np.sqrt(inflated / x.size)  # luck of its own


@pytest.mark.parametrize(("shared", "of"), [(0.0, "p"), (0.6, "p"), (1.0, "p"), (0.6, "fidelity")])
def test_links_of_a_node_share_variance(shared, of):
    record = dynamics("drift", sd=0.5, fidelity_sd=0.5, correlation_slots=1, shared=shared)
    series = draw_dynamics(NOISY, record, 900, seed=6, slots_per_epoch=5)
    x = logit(series.p) if of == "p" else louder(series, NOISY)
    near, far, ends = [], [], np.stack([NOISY.source, NOISY.target])
    for e in range(0, NOISY.n_links, 7):
        common = (ends[:, e][:, None, None] == ends[None]).any(axis=(0, 1))
        near += [np.mean(x[:, e] * x[:, f]) for f in np.flatnonzero(common) if f != e]
        far += [np.mean(x[:, e] * x[:, f]) for f in np.flatnonzero(~common)[::50]]
    margin = 4 * 0.25 * np.sqrt(2 * 4 / (len(x) * len(near)))  # some pairs of links have links or nodes in common
    assert abs(np.mean(near) - shared / 2 * 0.25) < margin
    assert abs(np.mean(far)) < margin


def test_what_is_not_asked_for_leaves_luck_and_fidelity_as_they_are():
    plain = draw_dynamics(NOISY, dynamics("drift", sd=0.4), 60, seed=4)
    assert plain.fidelity is None
    noisy = draw_dynamics(NOISY, dynamics("drift", sd=0.4, fidelity_sd=0.2), 60, seed=4)
    assert np.array_equal(plain.p, noisy.p)
    jumping = draw_dynamics(NOISY, [dynamics("drift", sd=0.4, fidelity_sd=0.2), "outages"], 60, seed=4)
    assert np.array_equal(jumping.fidelity, noisy.fidelity)
    both = draw_dynamics(
        NOISY, [dynamics("drift", sd=0.4, fidelity_sd=0.2), dynamics("jumps", sd=0, fidelity_sd=0.5)], 60, seed=4
    )
    alone = draw_dynamics(NOISY, ["constant", dynamics("jumps", sd=0, fidelity_sd=0.5)], 60, seed=4)
    expected = louder(noisy, NOISY) + louder(alone, NOISY)
    assert np.allclose(louder(both, NOISY), expected, atol=1e-9) and np.allclose(both.p, plain.p, rtol=1e-12)
    own = draw_dynamics(NOISY, dynamics("drift", fidelity_sd=0.2, start="nominal"), 5, seed=4)
    assert np.array_equal(own.fidelity[0], NOISY.fidelity) and not np.array_equal(own.fidelity[1], NOISY.fidelity)


# --- jumps ---


@pytest.mark.parametrize("step", [1, 6])
def test_links_jump_at_their_rate_to_where_the_process_stands(step):
    record = dynamics("jumps", every=40, sd=0.6, fidelity_sd=0.3)
    series = draw_dynamics(NOISY, record, 400 * step, seed=5, slots_per_epoch=step)
    x, y = logit(series.p), louder(series, NOISY)
    stays = (1 - 1 / 40) ** step
    jumped = series.p[1:] != series.p[:-1]
    assert np.array_equal(jumped, series.fidelity[1:] != series.fidelity[:-1])  # both at the same times
    assert abs(jumped.mean() - (1 - stays)) < 4 * np.sqrt(stays * (1 - stays) / jumped.size)
    for offset, sd in ((x, 0.6), (y, 0.3)):
        drawn = offset[1:][jumped]  # each but once
        assert abs(np.mean(drawn)) < 4 * sd / np.sqrt(drawn.size)
        assert abs(np.mean(drawn**2) - sd**2) < 4 * sd**2 * np.sqrt(2 / drawn.size)
        assert abs(np.mean(offset[0] ** 2) - sd**2) < 4 * sd**2 * np.sqrt(2 / offset.shape[1])  # stationary at once
        inflated = 2 * (1 + stays) / (1 - stays)
        assert abs(np.mean(offset[5:] * offset[:-5]) - sd**2 * stays**5) < 4 * sd**2 * np.sqrt(inflated / offset.size)
    drawn = x[1:][jumped], y[1:][jumped]
    assert abs(np.mean(drawn[0] * drawn[1])) < 4 * 0.6 * 0.3 / np.sqrt(drawn[0].size)


def test_jumps_may_start_at_the_nominal_value():
    series = draw_dynamics(NOISY, dynamics("jumps", every=30, fidelity_sd=0.4, start="nominal"), 50, seed=1)
    nominal = series.fidelity == NOISY.fidelity
    assert nominal[0].all() and np.allclose(series.p[nominal], 0.5, rtol=1e-14)
    assert (nominal[1:] <= nominal[:-1]).all()  # until the first jump, and never again
    left = (1 - 1 / 30) ** np.arange(50)
    assert np.all(np.abs(nominal.mean(axis=1) - left) <= 4.5 * np.sqrt(left * (1 - left) / NOISY.n_links) + 1e-12)


# --- the day ---


def test_the_odds_follow_the_clock():
    of = dynamics("diurnal", amplitude=0.4, phase=0.25, slots_per_day=10)
    p = draw_dynamics(NETWORK, of, 25, seed=0, start=3).p
    factor = 1 + 0.4 * np.cos(2 * np.pi * (3 + np.arange(25)) / 10)
    assert np.allclose(p / (1 - p), factor[:, None] * NETWORK.p / (1 - NETWORK.p))
    epochs = draw_dynamics(NETWORK, of, 30, seed=0, start=3, slots_per_epoch=5).p
    assert np.allclose(epochs, draw_dynamics(NETWORK, of, 30, seed=0, start=3).p[2::5])  # each as in its middle


def test_p_itself_may_follow_the_clock_and_is_cut_at_one():
    p = draw_dynamics(NETWORK, dynamics("diurnal", amplitude=0.9, slots_per_day=8, of="p"), 8, seed=0).p
    factor = 1 + 0.9 * np.sin(2 * np.pi * np.arange(8) / 8)
    assert np.allclose(p, np.minimum(factor[:, None] * NETWORK.p, 1))
    assert p.max() == 1


# --- outages ---


def _binomial_margin(share, r, epochs, chains):
    """4 sigma of the mean of two-state chains with lag-1 correlation r."""
    return 4 * np.sqrt(share * (1 - share) * (1 + r) / (1 - r) / (epochs * chains))


@pytest.mark.parametrize("step", [1, 6])
def test_links_are_down_for_their_share_of_time(step):
    record = dynamics("outages", mtbf=60, mttr=15)
    down = draw_dynamics(MANY, record, 500 * step, seed=2, slots_per_epoch=step).p == 0
    r = (1 - 1 / 60 - 1 / 15) ** step
    assert abs(down.mean() - 0.2) < _binomial_margin(0.2, r, *down.shape)
    assert abs(down[0].mean() - 0.2) < _binomial_margin(0.2, 0, 1, down.shape[1])
    failures = np.mean(down[1:][~down[:-1]])
    assert abs(failures - 0.2 * (1 - r)) < _binomial_margin(0.2 * (1 - r), 0, 1, np.sum(~down[:-1]))
    repairs = np.mean(~down[1:][down[:-1]])
    assert abs(repairs - 0.8 * (1 - r)) < _binomial_margin(0.8 * (1 - r), 0, 1, np.sum(down[:-1]))


def test_only_the_share_of_links_that_is_told_ever_fails():
    p = draw_dynamics(NETWORK, dynamics("outages", mtbf=5, mttr=5, share=0.25), 400, seed=2).p
    assert np.sum((p == 0).any(axis=0)) == 3
    assert np.array_equal(np.unique(p[p > 0]), np.unique(NETWORK.p))


def test_a_failed_node_takes_all_its_links_down():
    p = draw_dynamics(NETWORK, dynamics("outages", mtbf=9, mttr=3, share=0, node_share=1), 3000, seed=5).p
    down = p == 0
    ends = np.column_stack([NETWORK.source, NETWORK.target])
    dead = np.stack([down[:, (ends == v).any(axis=1)].all(axis=1) for v in range(9)], axis=1)
    assert np.array_equal(down, dead[:, ends].any(axis=2))
    assert abs(down.mean() - (1 - 0.75**2)) < 0.03  # either end; links share nodes, so the margin is no closed form


def test_outages_may_start_with_all_up_or_happen_every_other_slot():
    p = draw_dynamics(NETWORK, dynamics("outages", mtbf=1, mttr=1, start="nominal"), 6, seed=0).p
    assert np.array_equal(p > 0, np.repeat([[True], [False]] * 3, 12, axis=1))
