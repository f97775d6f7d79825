"""One look at all members: what each says of itself, and of the cluster as the DCS has it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import JsonValue

from operator_core.call_failures import CallFailure, FailureKind, GarbageError, NotSentError
from operator_core.errors import SubjectUnreachableError
from operator_patroni.client import PatroniClient, unreachable, usable_endpoint
from operator_patroni.shapes import Config, Listed, Node, View

Told = TypeVar("Told")


@dataclass(frozen=True)
class Answer:
    """What one endpoint said; a failure says why it said nothing."""

    node: Node | CallFailure
    view: View | CallFailure


Answers = dict[str, Answer]


@dataclass(frozen=True)
class Survey:
    """One look.

    Attributes:
        endpoints: where each member that answered was reached, by name.
        nodes: what each of them says of itself, by name.
        failures: why each other member gave no answer, by name.
        views: what the DCS says, by the name of the member that asked it.
        view_failures: why a member that answers could not ask the DCS, by name.
        config: the dynamic configuration; None where nobody could say it.
        config_error: why it could not be read.
        history: the changes of leadership, the oldest first.
        history_error: why they could not be read.
    """

    endpoints: Mapping[str, str]
    nodes: Mapping[str, Node]
    failures: Mapping[str, CallFailure] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    view_failures: Mapping[str, CallFailure] = field(default_factory=dict)
    config: Config | None = None
    config_error: str | None = None
    history: tuple[tuple[JsonValue, ...], ...] = ()
    history_error: str | None = None

    @property
    def view(self) -> View | None:
        """What the DCS says: as the leader tells it, or else whoever could ask."""
        named = {one.leader for one in self.views.values()} - {None}
        told = [self.views[one] for one in sorted(self.views) if one in named]
        return next(iter([*told, *self.views.values()]), None)

    @property
    def view_error(self) -> str | None:
        """Why nobody could ask the DCS."""
        if self.views:
            return None
        reasons = "; ".join(str(one) for one in self.view_failures.values())
        return f"no member that answers can read the DCS ({reasons})"

    @property
    def views_agree(self) -> bool:
        """Whether all who asked the DCS name the same leader, and the same pause."""
        return len({(one.leader, one.pause) for one in self.views.values()}) < 2  # noqa: PLR2004 - one opinion


async def survey(client: PatroniClient) -> Survey:
    """Ask every known endpoint, then every member that none of them turned out to be.

    Raises:
        SubjectUnreachableError: no member answers, or they belong to different clusters.
    """
    answers = await _ask(client, client.configured)
    if not _heard(answers):
        answers |= await _ask(client, [one for one in client.endpoints if one not in answers])
    if not _heard(answers):
        raise unreachable(one.node for one in answers.values() if isinstance(one.node, CallFailure))
    listed = _listed(answers)
    met = {_who(listed, url, node) for url, node in _heard(answers).items()}
    client.learn(_advertised(listed))
    unmet = _advertised(one for one in listed if one.name not in met)
    answers |= await _ask(client, [url for url in unmet if url not in answers])
    _must_be_one_cluster(_heard(answers))
    client.remember({url: _who(listed, url, node) for url, node in _heard(answers).items()})
    return await _with_settings(client, _sort(client, answers))


async def _ask(client: PatroniClient, endpoints: Sequence[str]) -> Answers:
    async def ask(endpoint: str) -> Answer:
        node, view = await asyncio.gather(
            client.node(endpoint), client.view(endpoint), return_exceptions=True
        )
        return Answer(_or_failure(node), _or_failure(view))

    return dict(zip(endpoints, await asyncio.gather(*map(ask, endpoints)), strict=True))


def _or_failure(told: Told | BaseException) -> Told | CallFailure:
    if isinstance(told, BaseException) and not isinstance(told, CallFailure):
        raise told
    return told


def _heard(answers: Answers) -> dict[str, Node]:
    return {url: one.node for url, one in answers.items() if isinstance(one.node, Node)}


def _listed(answers: Answers) -> list[Listed]:
    """Return the members that the DCS lists, each once."""
    views = [one.view for one in answers.values() if isinstance(one.view, View)]
    return list({member.name: member for view in views for member in view.members}.values())


def _advertised(members: Iterable[Listed]) -> list[str]:
    urls = [usable_endpoint(one.api_url) for one in members]
    return list(dict.fromkeys(url for url in urls if url))


def _who(listed: Sequence[Listed], url: str, node: Node) -> str:
    """Return who answered: version 3 says its name, before that the address tells."""
    owners = [one.name for one in listed if usable_endpoint(one.api_url) == url]
    return node.identity.name or (owners[0] if len(owners) == 1 else url)


def _must_be_one_cluster(heard: Mapping[str, Node]) -> None:
    systems = {(one.identity.scope, one.system_id) for one in heard.values() if one.system_id}
    if len({scope for scope, _ in systems if scope}) > 1 or len({key for _, key in systems}) > 1:
        known = ", ".join(sorted(f"{scope or '?'} {system}" for scope, system in systems))
        raise SubjectUnreachableError(
            f"The endpoints {', '.join(heard)} belong to different clusters ({known}). "
            "Configure one subject a cluster."
        )


def _sort(client: PatroniClient, answers: Answers) -> Survey:
    listed = _listed(answers)
    names = {url: _who(listed, url, node) for url, node in _heard(answers).items()}
    # The first that answers for a name counts, so that two addresses of one member are one.
    endpoints = {name: url for url, name in reversed(names.items())}
    nodes = {name: _heard(answers)[url] for name, url in sorted(endpoints.items())}
    told = {name: answers[url].view for name, url in sorted(endpoints.items())}
    return Survey(
        endpoints=endpoints,
        nodes=nodes,
        failures=_silent(listed, answers, endpoints) | _gone(client, answers, endpoints),
        views={name: one for name, one in told.items() if isinstance(one, View)},
        view_failures={name: one for name, one in told.items() if isinstance(one, CallFailure)},
    )


def _silent(
    listed: Sequence[Listed], answers: Answers, endpoints: Mapping[str, str]
) -> dict[str, CallFailure]:
    """Return why members that the DCS lists give no answer."""
    return {one.name: _why(one, answers) for one in listed if one.name not in endpoints}


def _gone(
    client: PatroniClient, answers: Answers, endpoints: Mapping[str, str]
) -> dict[str, CallFailure]:
    """Return why members that a person named give no answer although the DCS lists them no more.

    The DCS forgets a member whose Patroni is gone for longer than the ttl. One that never told
    its name goes by its address.
    """
    owned = set(_advertised(_listed(answers)))
    named = {url: client.names.get(url, url) for url in client.endpoints if url not in owned}
    failed = {url: answers[url].node for url in named if url in answers}
    return {
        named[url]: why
        for url, why in failed.items()
        if isinstance(why, CallFailure) and named[url] not in endpoints
    }


def _why(member: Listed, answers: Answers) -> CallFailure:
    url = usable_endpoint(member.api_url)
    if url is None:
        return NotSentError(member.name, FailureKind.NO_NAME, "it tells no address of its Patroni")
    told = answers[url].node
    if isinstance(told, CallFailure):
        return told
    return GarbageError(url, FailureKind.GARBAGE, "another member answers at this address")


async def _with_settings(client: PatroniClient, seen: Survey) -> Survey:
    """Return a look with the settings and the history, from the first that can tell them."""
    config, history = await asyncio.gather(_config(client, seen), _history(client, seen))
    return Survey(
        endpoints=seen.endpoints,
        nodes=seen.nodes,
        failures=seen.failures,
        views=seen.views,
        view_failures=seen.view_failures,
        config=None if isinstance(config, str) else config,
        config_error=config if isinstance(config, str) else None,
        history=() if isinstance(history, str) else history,
        history_error=history if isinstance(history, str) else None,
    )


def _readers(seen: Survey) -> list[str]:
    """Return whom to ask: only who reaches the DCS, so that nobody waits for one that is gone."""
    return [seen.endpoints[name] for name in seen.views]


async def _config(client: PatroniClient, seen: Survey) -> Config | str:
    reasons = []
    for endpoint in _readers(seen):
        try:
            return await client.config(endpoint)
        except CallFailure as failure:
            reasons.append(str(failure))
    return "; ".join(reasons) or str(seen.view_error)


async def _history(client: PatroniClient, seen: Survey) -> tuple[tuple[JsonValue, ...], ...] | str:
    reasons = []
    for endpoint in _readers(seen):
        try:
            return tuple(tuple(one) for one in await client.history(endpoint))
        except CallFailure as failure:
            reasons.append(str(failure))
    return "; ".join(reasons) or str(seen.view_error)
