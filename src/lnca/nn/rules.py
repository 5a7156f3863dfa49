"""Cell rules by name: the paper's two, and rules of other packages with entry points in the group lnca.rules."""

from importlib.metadata import entry_points

from ..catalogue import unknown
from ..errors import LncaError
from .automaton import Automaton
from .nafca import NAFCA
from .vitca import ViTCA

GROUP = "lnca.rules"
OURS: dict[str, type[Automaton]] = {"nafca": NAFCA, "vitca": ViTCA}


def rule_named(name: str) -> type[Automaton]:
    """The class of a rule; its arguments are the numbers of input, output and hidden channels.

    Raises:
        LncaError: the rule is unknown, cannot be imported, or is not an `Automaton`.
    """
    if name in OURS:
        return OURS[name]
    others = {point.name: point for point in entry_points(group=GROUP)}
    if name not in others:
        raise unknown("rule", name, [*OURS, *others])
    try:
        rule = others[name].load()
    except (ImportError, AttributeError) as error:
        raise LncaError(f"the rule {name!r} of {others[name].value} cannot be imported: {error}") from error
    if not (isinstance(rule, type) and issubclass(rule, Automaton)):
        raise LncaError(
            f"the rule {name!r} of {others[name].value} is no class derived from lnca.nn.automaton.Automaton"
        )
    return rule
