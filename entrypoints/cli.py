"""The wrapper of every entry point: check the configuration, run the job under Hydra, map outcomes to exit codes.

Exit codes: 0 success, 1 failure, 2 bad input, 130 interrupted.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser

from components.errors import FailedJob, InputError
from components.files.atomic import check_writable
from components.heap import keep_freed_memory
from entrypoints.config_check import ConfigError, Fault, available, check, compose_unchecked

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)
Job = Callable[["DictConfig"], float | None]
# Given the overrides and the composed config, returns further overrides (e.g. the folder of the run to resume).
Redirect = Callable[[list[str], "DictConfig"], list[str]]
# Given the overrides, returns further ones.
Choose = Callable[[list[str]], list[str]]


def run(
    config_name: str,
    job: Job,
    *,
    needs: Sequence[str] = (),
    choose: Choose | None = None,
    complete: Redirect | None = None,
    redirect: Redirect | None = None,
) -> None:
    """Run an entry point with the command line of this process; does not return on errors.

    Args:
        config_name: root config in `conf/`.
        job: receives the composed config; its return value is what sweepers see.
        needs: groups or keys without which the command means nothing; an error lists the choices.
        choose: may add group choices that depend on the overrides alone, before anything is composed.
        complete: may add overrides that depend on the composed, unchecked config, in sweeps too.
        redirect: may add overrides before the job starts.
    """
    arguments = get_args_parser().parse_args()
    looks_only = arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion
    try:
        # Whoever looks at the config sees the one that the job would have.
        chosen = choose(arguments.overrides) if choose is not None and (arguments.cfg or not looks_only) else []
        add_overrides(chosen)
        if not looks_only:
            overrides = [*arguments.overrides, *chosen]
            if complete is not None:
                composed = compose_unchecked(config_name, overrides, arguments.config_dir)
                added = [] if composed is None else complete(overrides, composed)
                add_overrides(added)
                overrides = [*overrides, *added]
            # Each job of a sweep goes on in its own folder.
            _check_first(config_name, overrides, arguments.config_dir, needs, None if arguments.multirun else redirect)
            if arguments.multirun:
                _check_swept_experiments(overrides)
        _run_hydra(config_name, job)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `... --help | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - closed by the interpreter
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


def _check_first(
    config_name: str, overrides: list[str], config_dir: str | None, needs: Sequence[str], redirect: Redirect | None
) -> None:
    given = {text.split("=")[0].lstrip("+~") for text in overrides}
    for need in needs:
        if not given & set(need.split("|")):
            name = need.split("|")[0]
            raise ConfigError(str(Fault(f"{name}=<name>", f"missing. Choose one of: {', '.join(available(name))}")))
    config = check(config_name, overrides, config_dir)
    if config.hydra.output_subdir is not None:
        check_writable(config.paths.output_dir, "paths.output_dir")
        if "hydra.run.dir" in given:
            check_writable(config.hydra.run.dir, "hydra.run.dir")
    if redirect is not None:
        add_overrides(redirect(overrides, config))


def _check_swept_experiments(overrides: list[str]) -> None:
    """Hydra composes a sweep before its jobs, without what is swept: no experiment then brings data and model."""
    swept = [each.is_sweep_override() for each in OverridesParser.create().parse_overrides(overrides)]
    if not any(each and text.startswith("experiment=") for each, text in zip(swept, overrides, strict=True)):
        return
    of_experiments = ("data.", "model.")
    missing = [
        text for each, text in zip(swept, overrides, strict=True) if not each and text.startswith(of_experiments)
    ]
    if missing:
        raise ConfigError(
            f"{', '.join(missing[:3])}: with several experiments, keys of data and model need ++ in front.\n"
            f"Write {' '.join(f'++{text}' for text in missing[:3])}"
        )


def add_overrides(texts: list[str]) -> None:
    """Put overrides onto the command line, beside those of the user: Hydra's parser wants all of them in one place."""
    given = get_args_parser().parse_args().overrides
    place = sys.argv.index(given[-1]) + 1 if given else len(sys.argv)
    sys.argv[place:place] = texts


def _run_hydra(config_name: str, job: Job) -> None:
    keep_freed_memory()

    def task(config: "DictConfig") -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.errors import HydraException
        from hydra.types import RunMode

        try:
            return job(config)
        except FailedJob as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            print(error, file=sys.stderr)
            sys.exit(1)
        except InputError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                # Hydra goes on with the other jobs of a sweep and ends with code 1, without the whole trace.
                log.error("%s", error)
                raise HydraException(str(error)) from None
            print(error, file=sys.stderr)
            sys.exit(2)

    # Hydra would name the application after this file.
    add_overrides([f"hydra.job.name={config_name}"])
    # Hydra finds packaged configs by module name, also when the project is installed.
    hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)(task)()
