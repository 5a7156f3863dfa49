"""`lnca data list`, `check` and `prepare`."""

import json as json_format
import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LncaError
from .options import Json

app = typer.Typer(help="The paper's data sets, and yours: what they are, whether they are whole, tiles of them.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `lnca data list` prints, or hf:DATASET.")]
Root = Annotated[Path | None, typer.Argument(metavar="[ROOT]", help="Folder of the set; none for hf:DATASET.")]


@app.command("list")
def list_sets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Say everything about this one.")] = None,
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


@app.command()
def check(
    name: Name,
    root: Root = None,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every picture; this takes long.")] = False,
) -> None:
    """Say what of a data set is missing or broken, and how to get it. Exit status 1 when something is."""
    from ..data.reading import listing
    from ..data.sets import data_set
    from .progress import progress_bar

    chosen = data_set(name)
    found = chosen.scan(_root(name, root))
    problems = list(found.problems)
    if decode:
        with progress_bar() as progress:
            for sample in progress.track(found.samples, description=name):
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
        raise typer.Exit(1)
    print("nothing is missing" + ("" if decode else "; --decode also looks into every picture"))


@app.command()
def prepare(
    name: Name,
    root: Root = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the tiles.")] = Path("tiles"),
    side: Annotated[
        int | None, typer.Option(min=8, help="Cut squares of this side, in pixels, before shrinking to 32x32.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Shrink whole pictures to 32x32 instead of cutting.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what is missing or broken.")] = False,
) -> None:
    """Cut a data set into 32x32 tiles for `lnca train --data OUT`. Run again, it goes on where it was stopped."""
    import dataclasses

    from ..data.prepare import prepare
    from ..data.sets import data_set
    from .progress import progress_bar

    if whole and side is not None:
        raise LncaError("--side cuts pictures and --whole does not; give one of them")
    chosen = data_set(name)
    if whole:
        chosen = dataclasses.replace(chosen, side=None)
    with progress_bar() as progress:
        bar = progress.add_task(name, total=None)
        description = prepare(
            chosen,
            _root(name, root),
            out,
            side=side,
            workers=workers or os.cpu_count() or 1,
            skip_broken=skip_broken,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
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
