"""Train a VAE, or the AE to set beside it, and save it where the app finds it.

python train_vae.py --data digits --kind vae --latent-dim 8 --epochs 30 --name my-digits
python train_vae.py --resume my-digits
python train_vae.py evaluate my-digits
python train_vae.py gallery
torchrun --nproc-per-node 2 train_vae.py --data mnist
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from explorer.errors import CheckpointError, ConfigError, ExplorerError
from explorer.models.library import SHIPPED
from explorer.training.flags import build_evaluation_parser, parse_flags
from explorer.training.streams import Forgiving

if TYPE_CHECKING:
    from explorer.images.dataset import ImageSet
    from explorer.training.loop import Trainer

Result = TypeVar("Result")
FIRST = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun starts, one talks


def say(text: str) -> None:
    """Print a line, above a progress bar too; a reader who has left does not end the training."""
    from tqdm import tqdm

    if FIRST:
        out = Forgiving(sys.stdout)
        # tqdm.write knows the bars of the plain streams alone, and would write behind ours.
        bars = list(getattr(tqdm, "_instances", ()))
        for bar in bars:
            bar.clear()
        out.write(f"{text}\n")
        out.flush()
        for bar in bars:
            bar.refresh()


def warn(text: str) -> None:
    """Print a line at once, beside what the bar shows."""
    if FIRST:
        Forgiving(sys.stderr).write(f"{text}\n")


def load_data(spec: str, size: tuple[int, int] | None, skip_bad: bool = True) -> "ImageSet":
    """Load the images, with a bar where it takes time.

    Args:
        spec: what to load.
        size: (H, W) that they are brought to, or None.
        skip_bad: whether files that cannot be decoded are left out; the fingerprint tells a
            checkpoint or a run whether its images are those.

    Raises:
        DataError: if they cannot be used.
    """
    from tqdm import tqdm

    from explorer.images.registry import load_images

    bars: dict[str, tqdm] = {}  # type: ignore[type-arg]

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[what] = tqdm(
                total=total,
                desc=what,
                unit_scale=True,
                leave=False,
                disable=not FIRST,
                file=Forgiving(sys.stderr),
            )
        bars[what].update(done - bars[what].n)

    images = load_images(spec, size=size, skip_bad=skip_bad, progress=show)
    for bar in bars.values():
        bar.close()
    return images


def finish(trainer: "Trainer", folder: Path, command: str, replace: bool) -> Path:
    """Encode, project and measure the held-out images, and save the checkpoint.

    Args:
        trainer: the training, ended or stopped.
        folder: where the checkpoint is to go.
        command: what trains it again.
        replace: whether one of the same name may be replaced.

    Returns:
        Where it went: beside the folder, if another one took its name meanwhile.

    Raises:
        CheckpointError: if it cannot be written.
    """
    from tqdm import tqdm

    from explorer.encode.heldout import measure_held_out, save_held_out
    from explorer.latent.projection import fit_projection, project_principal
    from explorer.models.checkpoint import HELD_OUT, REPORT
    from explorer.regularity.report import HeldOut, measure_regularity, save_report
    from explorer.training.evaluation import encode_held_out
    from explorer.training.run import best_codec, save_run

    config = trainer.config
    codec = best_codec(trainer)
    encodings, reconstructions = encode_held_out(codec, config.network, trainer.images)
    with tqdm(
        total=4,
        desc="fitting the projection",
        bar_format="{bar} {n_fmt}/{total_fmt} {elapsed}  {desc}",
        file=Forgiving(sys.stderr),
    ) as bar:

        def attempt(failed: str, later: str, work: Callable[[], Result]) -> Result | None:
            try:
                return work()
            except Exception as error:  # noqa: BLE001 (nothing that can be made later may cost the trained model)
                say(f"{failed}: {describe_failure(error)} {later}")
                return None
            finally:
                bar.update()

        projection = attempt(
            "No UMAP was fitted",
            "The map shows principal components instead; fit another one on the page Explore.",
            lambda: fit_projection(
                encodings.mean, seed=config.seed, progress=bar.set_description_str
            ),
        )
        if projection is None:
            projection = project_principal(encodings.mean, seed=config.seed)
        bar.set_description_str("measuring regularity")
        more = {}
        report = attempt(
            "Not measured",
            f"Measure later: python -m explorer.regularity {quote_name(folder)}",
            lambda: measure_regularity(
                HeldOut.from_evaluation(encodings, reconstructions), seed=config.seed
            ),
        )
        if report is not None:
            more[REPORT] = lambda path: save_report(path, report)
        bar.set_description_str("scoring held-out images")
        scores = attempt(
            "Not scored",
            f"Score later: python -m explorer.encode.familiarity {quote_name(folder)}",
            lambda: measure_held_out(
                codec,
                encodings,
                trainer.images,
                progress=lambda share: bar.set_description_str(
                    f"scoring held-out images: {share:.0%}"
                ),
            ),
        )
        if scores is not None:
            more[HELD_OUT] = lambda path: save_held_out(path, scores)
        bar.set_description_str("saving")
        if not replace:
            folder = free_name(folder)

        def save(target: Path) -> None:
            save_run(
                target,
                trainer,
                encodings,
                projection,
                command=command,
                more=more,
                lost=lambda name, error: say(
                    f"The checkpoint has no {name}: {describe_failure(error)}"
                ),
            )

        try:
            save(folder)
        except CheckpointError as error:
            folder = save_elsewhere(folder, save, error)
        bar.update()
    return folder


def save_elsewhere(folder: Path, save: Callable[[Path], None], error: CheckpointError) -> Path:
    """Save a checkpoint where there is room, and say where.

    Raises:
        CheckpointError: the first error, if there is no room anywhere.
    """
    from explorer.training.runs import spare_folders

    for parent in spare_folders(folder.name):
        try:
            save(parent / folder.name)
        except CheckpointError:
            continue
        say(f"{error} It is saved in {parent} instead: move it to {folder.parent} by hand.")
        return parent / folder.name
    raise error


def describe_failure(error: Exception) -> str:
    """Why an optional step failed, as a sentence."""
    if isinstance(error, MemoryError):
        return "There is not enough memory."
    if isinstance(error, ExplorerError):
        return str(error)
    return f"{type(error).__name__}: {str(error).rstrip('.')}."


def quote_name(folder: Path) -> str:
    """What a checkpoint is called on a command line: its name, or where it lies elsewhere."""
    return shlex.quote(folder.name if folder.parent == SHIPPED else str(folder))


def free_name(folder: Path) -> Path:
    """The folder, or if it is there by now, the first free one of name-2, name-3 and so on."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def train(flags: argparse.Namespace) -> int:
    """Train as the flags say; the exit status.

    Raises:
        ExplorerError: if the flags, the data or the run do not allow it.
    """
    # Torch takes two seconds to import, which a wrong flag is not to pay.
    from explorer.training import console

    skip_bad = flags.skip_bad or flags.resume is not None
    load = partial(load_data, skip_bad=skip_bad)
    return console.train(flags, console.Surroundings(say, warn, load, finish))


def evaluate(arguments: Sequence[str]) -> int:
    """`train_vae.py evaluate`: the bound and the likelihood of a checkpoint.

    Raises:
        ExplorerError: if the checkpoint, its data or a flag does not allow it.
    """
    flags = build_evaluation_parser().parse_args(arguments)

    from tqdm import tqdm

    from explorer.models.library import find_checkpoint
    from explorer.training.likelihood import evaluate_checkpoint

    folder = find_checkpoint(flags.name)
    told = Forgiving(sys.stderr)
    with tqdm(unit=" images", unit_scale=True, leave=False, file=told) as bar:

        def progress(count: int, total: int) -> None:
            bar.total = total
            bar.update(count)

        evaluation = evaluate_checkpoint(
            folder,
            load_data,
            samples=flags.samples,
            most=flags.images,
            seed=flags.seed,
            threads=flags.threads,
            progress=progress,
        )
    say(evaluation.describe())
    if flags.json is not None:
        evaluation.save(flags.json)
    return 0


def run_alone(words: Sequence[str]) -> int:
    """Run this program in a process of its own, which Ctrl-C and SIGTERM end as they should."""
    from explorer.training.signals import Stop

    # Ctrl-C reaches the process by itself; here it must not end the waiting for it.
    with Stop() as stopped, subprocess.Popen([sys.executable, __file__, *words]) as process:  # noqa: S603
        told = False
        while True:
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                if stopped.terminated and not told:
                    process.terminate()
                    told = True


def gallery(arguments: Sequence[str]) -> int:
    """`train_vae.py gallery`: train what is missing of the checkpoints that come along.

    Each is a training of its own, so that this command can be stopped and given again.
    """
    from explorer.training.gallery import GALLERY, find_flags
    from explorer.training.runs import TRAINING, RunFolder, runs_folder

    parser = argparse.ArgumentParser(
        prog="train_vae.py gallery",
        description="Train each checkpoint of the gallery that is not there yet.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone (default: all)")
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=0, help="processor threads of each")
    flags = parser.parse_args(arguments)
    if unknown := sorted(set(flags.names) - set(GALLERY)):
        raise ConfigError(f"The gallery has no {', '.join(unknown)}; it has {', '.join(GALLERY)}.")
    for name in flags.names or GALLERY:
        run = RunFolder(runs_folder(flags.out) / name)
        plain = run.load()
        unfinished = plain is not None and plain["status"] == TRAINING
        if (flags.out / name).exists() and not unfinished:
            say(f"{name} is there.")
            continue
        words = ["--resume", name] if unfinished else shlex.split(find_flags(name))
        say(f"{name}: {shlex.join(words)}")
        words += ["--out", str(flags.out), "--threads", str(flags.threads)]
        status = run_alone(words)
        plain = run.load()
        if status or plain is None or plain["status"] == TRAINING:
            return status or 130
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all went well, 2 if the user has to mend something.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["evaluate"]:
            return evaluate(words[1:])
        if words[:1] == ["gallery"]:
            return gallery(words[1:])
        return train(parse_flags(words))
    except ExplorerError as error:
        Forgiving(sys.stderr).write(f"train_vae.py: {error}\n")
        return 2
    except MemoryError:
        Forgiving(sys.stderr).write(
            "train_vae.py: There is not enough memory: close other programs, or use fewer or "
            "smaller images (--size).\n"
        )
        return 2
    except KeyboardInterrupt:
        Forgiving(sys.stderr).write("\nEnded.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
