from typing_extensions import override

from spandrel.util import KeyCondition, get_seq_len

from ...__helpers.model_descriptor import (
    Architecture,
    ImageModelDescriptor,
    SizeRequirements,
    StateDict,
)
from .__arch.pyramid import PyramidAutomaton


class LNCAArch(Architecture[PyramidAutomaton]):
    def __init__(self) -> None:
        super().__init__(
            id="LNCA",
            name="Latent neural cellular automaton",
            detect=KeyCondition.has_all(
                "encode.weight",
                "decode.weight",
                "rules.0.to_middle.weight",
                "rules.0.to_coarse.weight",
                "rules.0.from_coarse.weight",
                "rules.0.from_middle.weight",
                "rules.0.fine.perceive.weight",
                "rules.0.fine.act.weight",
                "rules.0.middle.act.weight",
                "rules.0.coarse.act.weight",
                "estimator.filters.0.weight",
                "estimator.say.0.weight",
                "estimator.say.4.weight",
                "estimator.conclude.0.weight",
            ),
        )

    @override
    def load(self, state_dict: StateDict) -> ImageModelDescriptor[PyramidAutomaton]:
        fine = state_dict["rules.0.fine.act.weight"].shape[0]
        middle = state_dict["rules.0.middle.act.weight"].shape[0]
        coarse = state_dict["rules.0.coarse.act.weight"].shape[0]
        rules = get_seq_len(state_dict, "rules")

        filters = state_dict["estimator.filters.0.weight"].shape[0]
        hidden = state_dict["estimator.say.0.weight"].shape[0]
        # Twice the shared channels and the own ones, and one of each.
        said = state_dict["estimator.say.4.weight"].shape[0]
        heard = state_dict["estimator.conclude.0.weight"].shape[1]
        shared = said - heard
        own = heard - shared

        model = PyramidAutomaton(
            channels=(fine, middle, coarse),
            rules=rules,
            filters=filters,
            hidden=hidden,
            shared=shared,
            own=own,
        )

        return ImageModelDescriptor(
            model,
            state_dict,
            architecture=self,
            purpose="Restoration",
            tags=[f"{fine}-{middle}-{coarse}", f"{rules} steps"],
            # The noise level is estimated from energies that are too small for half precision.
            supports_half=False,
            supports_bfloat16=False,
            scale=1,
            input_channels=3,
            output_channels=3,
            size_requirements=SizeRequirements(minimum=8),
        )


__all__ = ["LNCAArch", "PyramidAutomaton"]
