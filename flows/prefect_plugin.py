"""Prefect plugin: lets `prefect deployment run mase-ablations` work without the flow's name.

Prefect wants `<flow>/<deployment>`. Where a name has no slash, this looks the deployment up
by its own name and goes on with the full one; anything else is left as Prefect has it. The
method that is wrapped lives in a private module, so if it has moved, a warning is logged and
Prefect stays untouched: the full form `mase-ablations/mase-ablations` works everywhere.

The plugin also points Prefect at the server that `mase serve` keeps running, if no other
server is configured.
"""

import functools
from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any

from prefect.plugins import HookContext, SetupResult, register_hook

from flows.server import announced_url

PREFECT_PLUGIN_API_REQUIRES = ">=0.1,<1"

Read = Callable[..., Awaitable[Any]]


@register_hook
def setup_environment(*, ctx: HookContext) -> SetupResult | None:
    """Accept bare deployment names, and find the server of `mase serve`."""
    accept_bare_names(ctx.logger_factory("mase.plugin"))
    url = None if ctx.api_url else announced_url()
    return SetupResult(env={"PREFECT_API_URL": url}, note="server of mase serve") if url else None


def accept_bare_names(logger: Logger) -> bool:
    """Wrap Prefect's look-up by name; return whether it could be wrapped."""
    try:
        from prefect.client.orchestration._deployments.client import DeploymentAsyncClient

        original: Read = DeploymentAsyncClient.read_deployment_by_name
    except (ImportError, AttributeError) as cause:
        logger.warning("bare deployment names stay off, use <flow>/<deployment>: %s", cause)
        return False
    if not getattr(original, "accepts_bare_names", False):
        wrapped: Any = with_bare_names(original)
        DeploymentAsyncClient.read_deployment_by_name = wrapped
    return True


def with_bare_names(original: Read) -> Read:
    """Return a look-up that completes a name without a slash before it calls `original`."""

    @functools.wraps(original)
    async def read_deployment_by_name(self: Any, name: str) -> Any:
        return await original(self, name if "/" in name else await _full_name(self, name))

    setattr(read_deployment_by_name, "accepts_bare_names", True)  # noqa: B010 - functions have no such attribute
    return read_deployment_by_name


async def _full_name(client: Any, name: str) -> str:
    """Return `<flow>/<deployment>` of the one deployment called `name`.

    Raises:
        ValueError: if several flows have a deployment of that name.
        ObjectNotFound: if there is none (Prefect's own error, which its command line reports).
    """
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
    from prefect.client.schemas.sorting import DeploymentSort
    from prefect.exceptions import ObjectNotFound

    found = await client.read_deployments(
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
        sort=DeploymentSort.NAME_ASC,
        limit=100,
    )
    if not found:
        raise ObjectNotFound(http_exc=ValueError(f"no deployment is called {name!r}"))
    names = [f"{(await client.read_flow(item.flow_id)).name}/{item.name}" for item in found]
    if len(names) > 1:
        raise ValueError(
            f"several deployments are called {name!r}: {', '.join(sorted(names))}; give one of these"
        )
    return names[0]
