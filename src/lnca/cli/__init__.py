"""The command line. Commands parse, call and print; what they call is imported when they run."""

import sys

from ..errors import LncaError
from .importing import importing
from .plain import plain

# What brings packages that some commands need.
EXTRAS = {
    "torch": "train",
    "torchmetrics": "train",
    "tensorboard": "train",
    "yaml": "train",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "optuna": "search",
    "lightning": "distributed",
    "fastapi": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "datasets": "hub",
    "huggingface_hub": "hub",
    "matplotlib": "figures",
    "fsspec": "ray",
}


def main() -> None:
    """Entry point of `lnca`: an `LncaError` becomes one sentence on stderr and exit status 2."""
    if hasattr(sys.stdout, "reconfigure"):
        # Names of files that are no Unicode go out as the bytes they are.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with importing():
            from .app import app

        app()
    except LncaError as error:
        print(f"lnca: {plain(str(error))}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print(f"lnca: this needs {error.name}: pip install 'lnca[{extra}]'", file=sys.stderr)
        sys.exit(2)
    # Of a file that was named, where no command has a better word for it: too long a name, a disk that fails.
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"lnca: {plain(f'{where}{error.strerror or error}')}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("lnca: interrupted", file=sys.stderr)
        sys.exit(130)
