"""Registers, stack and shared memory of the Triton kernels, compiled for an H200 (sm_90); no GPU is needed.

python benchmarks/gpu_resources.py
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia import compiler as nvidia
from triton.compiler import ASTSource

import lnca
from lnca.files import write_whole
from lnca.kernels import triton_nafca, triton_vitca

RESULTS = Path(__file__).parent / "results" / "gpu-resources-sm90.json"
SIZES: dict[str, dict[str, Any]] = {
    "nafca_step": {"C": 64, "HALF": 64, "WIDE": 128, "TAP": 16, "FINISH": True, "MASKED": False},
    "vitca_attend": {"C": 64, "E": 128, "POSITION": False},
    "vitca_finish": {"C": 64, "E": 128, "MLP": 64, "HEADS": 4, "POSITION": False, "MASKED": False},
}
KERNELS = {
    "nafca_step": triton_nafca.nafca_step,
    "vitca_attend": triton_vitca.vitca_attend,
    "vitca_finish": triton_vitca.vitca_finish,
}
TYPES = {
    "cells_pointer": "*fp32",
    "taps": "*fp32",
    "next_taps": "*fp32",
    "vectors": "*fp32",
    "position": "*fp32",
    "keys": "*i32",
    "epsilon": "fp32",
    "attention_bias": "fp32",
    "threshold": "i64",
}


def compiled(name: str, precision: str, block: int, warps: int) -> Any:
    """A kernel for the latent models' sizes."""
    kernel: Any = KERNELS[name]
    constants = {**SIZES[name], "BLOCK": block}
    matrix = {"matrices": precision, "qkv": precision}
    signature = {
        argument: "constexpr" if argument in constants else ({**TYPES, **matrix}).get(argument, "i32")
        for argument in kernel.arg_names
    }
    place = {argument: (index,) for index, argument in enumerate(kernel.arg_names)}
    aligned = [name for name, kind in signature.items() if kind.startswith("*") or name in ("channels", "embed")]
    source = ASTSource(
        kernel,
        signature,
        constexprs={place[name]: value for name, value in constants.items()},
        attrs={place[name]: [["tt.divisibility", 16]] for name in aligned},
    )
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})


def resources(kernel: Any) -> dict[str, int]:
    """Resources of the compiled code; the tool comes with Triton."""
    tool = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        text = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    registers, stack = (int(re.findall(rf"{word}:(\d+)", text)[-1]) for word in ("REG", "STACK"))
    return {"registers": registers, "stack_bytes": stack, "shared_bytes": kernel.metadata.shared}


def main() -> None:
    rows = []
    for name in SIZES:
        for precision in ("*bf16", "*fp32"):
            for block, warps in ((64, 4), (64, 8), (128, 8)):
                if (precision, block) == ("*fp32", 128):
                    continue
                found = resources(compiled(name, precision, block, warps))
                row = {"kernel": name, "precision": precision[1:], "block": block, "warps": warps, **found}
                print(row)
                rows.append(row)
    versions = {"triton": triton.__version__, "torch": torch.__version__, "lnca": lnca.__version__}
    write_whole(RESULTS, (json.dumps({"target": "sm_90", **versions, "rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
