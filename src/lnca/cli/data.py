"""`lnca data list`, `check` and `prepare`."""

import json as json_format
import os
from pathlib import Path
from typing import Annotated

from click.exceptions import Exit

from ..errors import LncaError
from .declare import Argument, Group, Option
from .options import Json

app = Group("data", help="List, check and prepare the paper's data sets, or your own.")

Name = Annotated[str, Argument(metavar="NAME", help="A name that `lnca data list` prints, or hf:DATASET.")]
Root = Annotated[Path | None, Argument(metavar="[ROOT]", help="Folder of the data set; not for hf:DATASET.")]


@app.declared("list")
def list_sets(
    name: Annotated[str | None, Argument(metavar="[NAME]", help="Describe only this one.")] = None,
    json: Json = False,
) -> None:
    """List the data sets that can be read, or describe one."""
    from ..data.sets import SETS, data_set

    chosen = list(SETS.values()) if name is None else [data_set(name)]
    if json:
        entries = [{"name": s.name, "task": s.task, "side": s.side, **vars(s.about)} for s in chosen]
        print(json_format.dumps(entries, indent=2))
    elif name is None:
        for each in chosen:
            print(f"{each.name:14} {each.task or 'clean' if each.name != 'pairs' else 'any task':9} {each.about.size}")
        print(f"{'hf:NAME':14} {'clean':9} any data set of pictures on the Hugging Face hub, or a parquet file")
    else:
        about = chosen[0].about
        print(f"{about.title}\nfrom       {about.home}\nlicence    {about.licence}\nsize       {about.size}")
        print(f"checksums  {about.checksums}\nbelow ROOT\n{about.tree}")


@app.declared()
def check(
    name: Name,
    root: Root = None,
    decode: Annotated[bool, Option("--decode", help="Also decode every picture; this takes long.")] = False,
) -> None:
    """Say what is missing or broken in a data set, and how to get it; the exit status is then 1."""
    from ..data.reading import listing
    from ..data.sets import data_set
    from .progress import Bar

    chosen = data_set(name)
    found = chosen.scan(_root(name, root))
    problems = list(found.problems)
    if decode:
        with Bar(name, len(found.samples)) as bar:
            for sample in bar.track(found.samples):
                for picture in (sample.clean, sample.corrupted):
                    try:
                        if picture is not None:
                            picture.read()
                    except LncaError as error:
                        problems.append(str(error))
    print(f"{name}: {len(found.samples)} samples in {len({sample.group for sample in found.samples})} groups")
    if found.others:
        print(f"{len(found.others)} other files:\n{listing(found.others)}")
    if problems:
        print(f"{len(problems)} problems:\n{listing(problems, 100)}")
        raise Exit(1)
    print("nothing is missing" + ("" if decode else "; --decode also decodes every picture"))


@app.declared()
def prepare(
    name: Name,
    root: Root = None,
    out: Annotated[Path, Option(help="Folder for the tiles.")] = Path("tiles"),
    side: Annotated[
        int | None, Option(min=8, help="Side in pixels of the squares that are cut and shrunk to 32x32.")
    ] = None,
    whole: Annotated[
        bool, Option("--whole", help="Shrink whole pictures to 32x32 instead of cutting squares.")
    ] = False,
    workers: Annotated[int | None, Option(min=1, help="Processes; default: one per core.")] = None,
    skip_broken: Annotated[bool, Option("--skip-broken", help="Leave out missing and broken pictures.")] = False,
) -> None:
    """Cut a data set into 32x32 tiles for `lnca train --data OUT`. Run it again to resume."""
    import dataclasses

    from ..data.prepare import prepare
    from ..data.sets import data_set
    from .progress import Bar

    if whole and side is not None:
        raise LncaError("--side cuts squares and --whole does not; give only one of them")
    chosen = data_set(name)
    if whole:
        chosen = dataclasses.replace(chosen, side=None)
    with Bar(name) as bar:
        description = prepare(
            chosen,
            _root(name, root),
            out,
            side=side,
            workers=workers or os.cpu_count() or 1,
            skip_broken=skip_broken,
            progress=bar.update,
        )
    print(f"{description['tiles']} tiles of {description['samples']} samples in {out}")
    if description["left_out"]:
        print(f"{len(description['left_out'])} files or problems were left out; {out / 'tiles.json'} names them")


def _root(name: str, root: Path | None) -> Path:
    if root is None:
        if name.startswith("hf:"):
            return Path()
        raise LncaError(f"give the folder of {name} after its name; `lnca data list {name}` says what it should hold")
    if not root.exists():
        raise LncaError(f"{root} does not exist; `lnca data list {name}` says how to get the set")
    return root
