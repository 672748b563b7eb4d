"""The policies by name: what they do, what they may be told, and where they are; others register by entry point.

A text such as ``spep:lstm,threshold=0.2`` names a policy and its options; the first value may stand without its name,
which is that of the policy's first option. Other packages register policies
through the entry-point group ``qnroute.policies``: each entry is a `PolicyKind`, its `make` a function that gives an
object with `start` and `act` as `qnroute.simulation.policy.Policy` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.method import Option, found_at, settled
from qnroute.methods import with_extensions
from qnroute.recipes import options_of
from qnroute.simulation.policy import Policy

if TYPE_CHECKING:
    from qnroute.simulation.chooser import Chooser

GROUP = "qnroute.policies"
PREDICTED = ("frequency", "arima", "lstm", "lstm-clock", "logistic", "last-value", "seasonal", "mean", "oracle")

KNOWING = (
    "recent", "nominal", "last-value", "empirical", "linear", "gradient-boosting", "mlp", "graph", "oracle",
)  # fmt: skip


@dataclass(frozen=True)
class PolicyKind:
    """A policy by name.

    Parameters
    ----------
    make
        ``f(**options) -> Policy``, or where it is: ``"package.module:function"``.
    """

    name: str
    description: str
    make: str | Callable[..., Policy]
    options: tuple[Option, ...] = ()

    def made(self, given: Mapping[str, Any]) -> Policy:
        """The policy with these options; faults name the policy and the option."""
        called = f"policy {self.name}"
        try:
            values = settled(called, self.options, given)
        except ProblemError as error:
            told = [fault if fault.startswith(called) else f"{called}: {fault}" for fault in error.faults]
            raise ProblemError(told) from None
        return found_at(self.make)(**values)


_PREDICTOR = Option("predictor", str, "frequency", "what forecasts demand", choices=PREDICTED)
_WINDOW = Option("window", int, 15, "slots ahead that are predicted", 1, 1000)
_WEIGHTS = Option("weights", str, "", "file of a trained policy (qnroute train ppo --for time)")
_SHOWN = Option("shown", int, 8, "candidates that the trained policy is shown at once", 3, 100)
_FIRST = "reactive", "shortest-path", "highest-fidelity", "greedy", "static", "exact", "spep", "lookahead"

BUILT_IN = (
    PolicyKind(
        "reactive",
        "each request by the route of fewest links, over the pairs stored, that keeps its floor",
        "qnroute.simulation.ruled:reactive",
    ),
    PolicyKind(
        "shortest-path",
        "each request by one fixed route of fewest links, as soon as all its links hold pairs",
        "qnroute.simulation.ruled:shortest_path",
    ),
    PolicyKind(
        "highest-fidelity",
        "each request by the route of highest fidelity over the pairs stored",
        "qnroute.simulation.ruled:highest_fidelity",
    ),
    PolicyKind(
        "greedy",
        "again and again the request whose weight over the root of its route's links is highest",
        "qnroute.simulation.ruled:greedy",
    ),
    PolicyKind(
        "static",
        "each request by the first of its likeliest routes, fixed beforehand, that is stored",
        "qnroute.simulation.ruled:static",
        (Option("candidates", int, 5, "routes of each pair of nodes", 1, 1000),),
    ),
    PolicyKind(
        "exact",
        "the allocation of each slot over the pairs stored, solved to proof",
        "qnroute.simulation.exact:Exact",
    ),
    PolicyKind(
        "spep",
        "paper C: pairs held for demand that a predictor expects, then as reactive (or shortest-path)",
        "qnroute.simulation.policies:_spep",
        (
            _PREDICTOR,
            _WINDOW,
            Option("threshold", float, 0.1, "chance above which a pair of nodes is a candidate", 0.0, 1.0),
            Option("within", str, "window", "chance in the window, or in its best slot", choices=("window", "slot")),
            Option("most_new", int, 2, "new held pairs per slot", 1, 1000),
            Option("min_fidelity", float, 0.6, "that a new held pair must have", 0.0, 1.0),
            Option("base", str, "reactive", "what serves the rest", choices=("reactive", "shortest-path")),
        ),
    ),
    PolicyKind(
        "lookahead",
        "receding horizon: pairs priced by demand that waits and is forecast; serves and pre-positions by the prices",
        "qnroute.simulation.policies:_lookahead",
        (
            _PREDICTOR,
            Option("horizon", int, 15, "slots ahead", 1, 1000),
            Option("waiting", float, 1.0, "slots for which a forecast request counts as waiting", 0.0, 1e6),
            Option("urgency", float, 2.0, "how often a request that waits counts", 0.0, 1e6),
            Option("place", float, 0.01, "price of a place for a held pair, in requests", 0.0, 1e6),
            Option("trust", float, 0.3, "how much of a held pair's forecast use counts", 0.0, 1.0),
            Option("longest", int, 4, "links of a pair to hold", 1, 20),
            Option("candidates", int, 6, "routes of each pair of nodes on which demand falls", 1, 1000),
        ),
    ),
    PolicyKind(
        "hybrid",
        "paper A's closed loop: links predicted from telemetry, routes proposed and chosen, their links switched on",
        "qnroute.simulation.policies:_hybrid",
        (
            Option("links", str, "recent", "what predicts links; recent: success rates of late", choices=KNOWING),
            Option("model", str, "", "file of a trained model (qnroute score fit)"),
            Option("window", int, 50, "slots after which links are predicted anew", 1, 1_000_000),
            Option("retrain", int, 10, "windows after which the model is retrained, 0: never", 0, 1_000_000),
            Option("failures", str, "watched", "how failing links are known", choices=("watched", "known", "ignored")),
            Option("decide", str, "greedy", "how routes are chosen", choices=("greedy", "exact", "ppo")),
            Option("candidates", int, 6, "routes of each pair of nodes", 1, 1000),
            Option("horizon", int, 4, "slots within which a route shall serve", 1, 100_000),
            Option("reserve", int, 0, "qubits of each node kept free of links that no route needs", 0, 1_000_000),
            Option("probe", int, 50, "slots without a try after which an idle link comes first", 1, 1_000_000),
            _PREDICTOR,
            _WEIGHTS,
            _SHOWN,
        ),
    ),
    PolicyKind(
        "ppo",
        "a trained policy chooses who is served, by which route, who waits, and which pairs are held",
        "qnroute.simulation.policies:_ppo",
        (_PREDICTOR, _WEIGHTS, _SHOWN),
    ),
    PolicyKind(
        "refine",
        "another policy decides first; the trained one goes on with what that leaves in the slot",
        "qnroute.simulation.policies:_refine",
        (
            Option("base", str, "exact", "what decides first, with its usual options", choices=_FIRST),
            _PREDICTOR,
            _WEIGHTS,
            _SHOWN,
        ),
    ),
)  # fmt: skip


def policies() -> dict[str, PolicyKind]:
    """All policies by name; a registered one that cannot be loaded says so in its description."""
    return with_extensions(
        BUILT_IN, GROUP, PolicyKind, lambda name, why: _Unavailable(name, f"not available: {why}", "")
    )


def policy(text: str, **options: Any) -> Policy:
    """The policy that a text ``NAME``, ``NAME:VALUE`` or ``NAME:KEY=VALUE,...`` asks for.

    Raises
    ------
    ProblemError
        No such policy; an option that is unknown, given twice or out of range.
    """
    name, _, rest = text.partition(":")
    kind = chosen("policy", name, policies())
    if kind.options and rest and "=" not in rest.partition(",")[0]:
        rest = f"{kind.options[0].name}={rest}"
    try:
        given = options_of(rest)
    except ProblemError as error:
        raise error.at(f"policy {name}") from None
    if twice := [key for key in given if key in options]:
        raise ProblemError([f"policy {name}: {key} is given twice" for key in twice])
    return kind.made({**given, **options})


class _Unavailable(PolicyKind):
    """One that says why, whatever it is told."""

    def made(self, given: Mapping[str, Any]) -> Policy:
        raise ProblemError(f"policy {self.name} is {self.description}")


def _spep(*, predictor: str, base: str, **rest: Any) -> Policy:
    from qnroute.learning.predictors import predictor as predictor_of
    from qnroute.simulation.ruled import Prepositioning, spep

    return spep(predictor_of(predictor), base=base, prepositioning=Prepositioning(**rest))


def _lookahead(*, predictor: str, **rest: Any) -> Policy:
    from qnroute.learning.predictors import predictor as predictor_of
    from qnroute.simulation.lookahead import LookAhead

    return LookAhead(predictor_of(predictor), **rest)


def _ppo(*, predictor: str, weights: str, shown: int) -> Chooser:
    from qnroute.learning.predictors import predictor as predictor_of
    from qnroute.simulation.chooser import Chooser, load_network_policy

    trained = load_network_policy(weights) if weights else load_network_policy()
    return Chooser(predictor_of(predictor), trained, candidates=shown)


def _refine(*, base: str, **rest: Any) -> Policy:
    from qnroute.simulation.chooser import Refined

    return Refined(policy(base), _ppo(**rest))


def _hybrid(
    *, links: str, model: str, retrain: int, failures: str, decide: str, predictor: str, weights: str, shown: int,
    **rest: Any,
) -> Policy:  # fmt: skip
    from functools import partial

    from qnroute.learning.links.model import scorer_name
    from qnroute.learning.links.scorers import require_training
    from qnroute.simulation import knowledge as known
    from qnroute.simulation.hybrid import Hybrid

    for option, given in ((_PREDICTOR, predictor), (_WEIGHTS, weights), (_SHOWN, shown)):
        if decide != "ppo" and given != option.default:
            raise ProblemError(f"policy hybrid: {option.name}: is for decide=ppo, found decide={decide}")
    chooser = _ppo(predictor=predictor, weights=weights, shown=shown) if decide == "ppo" else None
    made = partial(Hybrid, decide="greedy" if chooser else decide, chooser=chooser, **rest)
    how, trained = known.Failures(failures), None
    if model:
        from qnroute.learning.links.model_files import load_model

        trained = load_model(model)
        if links not in ("recent", trained.kind):
            raise ProblemError(f"policy hybrid: links: found {links}, expected {trained.kind} as the model is")
        links = trained.kind
    elif links == "nominal":
        return made(lambda case: known.Calibrated(case, how))
    elif links == "oracle":
        return made(lambda case: known.Informed(case, how))
    if links == "recent":
        retrain = 0
    if retrain:
        require_training(scorer_name(links))
    return made(lambda case: known.Learned(case, how, kind=links, model=trained, retrain=retrain))
