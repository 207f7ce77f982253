"""The command `mase`: the app, its exit codes, and what is the same for every command.

Exit codes: 0 success; 2 a usage, params or data error (one message, no traceback, nothing
half-written); 1 any other `MaseError`, or units that failed; 128 + n when stopped by a signal.
An exception that is not a `MaseError` is a defect and keeps its traceback.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from flows.environment import configure
from flows.interruption import exit_code, resume_line, termination_as_exception
from mase.errors import DataError, MaseError, ParamsError


class MaseGroup(TyperGroup):
    """The group of all commands; turns errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command, with SIGTERM as an exception and errors as exit codes."""
        configure()
        try:
            with termination_as_exception():
                return super().invoke(ctx)
        except MaseError as cause:
            typer.echo(f"error: {cause}", err=True)
            raise typer.Exit(2 if isinstance(cause, ParamsError | DataError) else 1) from cause
        except KeyboardInterrupt as cause:
            typer.echo(resume_line(), err=True)
            raise typer.Exit(exit_code(cause)) from cause


app = typer.Typer(
    name="mase",
    cls=MaseGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Multimodal knowledge for language models, without images, sounds or videos.",
)


def _register() -> None:
    from flows.commands import (
        bundle,
        compare,
        dashboard,
        doctor,
        explain,
        params,
        parse,
        predict,
        proxies,
        reproduce,
        runs,
        serve,
        submit,
        towers,
        train,
        tune,
        verdict,
        voken,
    )

    for module in (
        reproduce,
        train,
        tune,
        predict,
        submit,
        explain,
        compare,
        verdict,
        parse,
        runs,
        serve,
        dashboard,
        doctor,
    ):
        module.register(app)
    app.add_typer(bundle.app, name="bundle")
    app.add_typer(proxies.app, name="proxies")
    app.add_typer(towers.app, name="towers")
    app.add_typer(voken.app, name="voken")
    app.add_typer(params.app, name="params")


_register()


if __name__ == "__main__":
    app()
