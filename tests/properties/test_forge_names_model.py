"""Random creating, renaming, deleting and restoring against a model: two dictionaries and a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.errors import Refused
from guts_core.forge import paths, queries
from guts_core.forge.actions import Action, CreateRepository, DeleteRepository, RenameRepository, RestoreRepository
from guts_core.forge.context import Availability
from guts_core.forge.ids import repository_id
from guts_core.forge.params import RESTORE_MS, Params
from guts_core.forge.records import ObjectFormat
from guts_core.names import AccountId, Oid, RepoId
from tests.core.forge.forge_world import BOB, CAROL, CHAIN, MAIN, Person, World, created, moved, pushing

# So few that they meet all the time; two names are one in lower case.
NAMES = ("a", "b", "A")
SALTS = tuple(bytes((number,)) * 32 for number in (1, 2, 3))
PEOPLE = (BOB, CAROL)
OWNED_MAX = 2
PARAMS = Params(repositories_per_account_max=OWNED_MAX)
# A step of the world's clock is a second: a day is reached, and missed by a second, now and then.
PAUSES = (0, RESTORE_MS // 2, RESTORE_MS - 2_000, RESTORE_MS)


@frozen
class Step:
    """Somebody does something with the repository of a salt, after a pause."""

    what: str
    person: Person
    salt: bytes
    name: str
    pause: int

    @property
    def repo(self) -> RepoId:
        """The repository that this person makes with this salt."""
        return repository_id(CHAIN, self.person.id, self.salt)


steps = st.builds(
    Step,
    st.sampled_from(["create", "create", "rename", "delete", "restore", "push"]),
    st.sampled_from(PEOPLE),
    st.sampled_from(SALTS),
    st.sampled_from(NAMES),
    st.sampled_from([0, 0, 0, *PAUSES]),
)
Names: TypeAlias = dict[tuple[AccountId, str], RepoId]


@define
class Model:
    """What the rules come to, told another way."""

    called: dict[RepoId, str] = field(factory=dict)  # those that stand
    gone: dict[RepoId, tuple[str, int]] = field(factory=dict)  # name and time
    before: Names = field(factory=dict)  # names that lead on
    pushes: dict[RepoId, int] = field(factory=dict)

    def may(self, step: Step, time: int, owned: int) -> bool:
        """Whether the step takes effect."""
        stands = step.repo in self.called
        match step.what:
            case "create":
                known = stands or step.repo in self.gone
                return not known and self._is_free(step, step.name, besides=None) and owned < OWNED_MAX
            case "rename":
                return stands and self._is_free(step, step.name, besides=step.repo)
            case "delete":
                return stands and self.called[step.repo] == step.name
            case "restore" if step.repo in self.gone:
                name, deleted = self.gone[step.repo]
                return time - deleted < RESTORE_MS and self._is_free(step, name, None) and owned < OWNED_MAX
            case "push":
                return stands
            case _:
                return False

    def do(self, step: Step, time: int) -> None:
        """Let it take effect."""
        match step.what:
            case "create":
                self._call(step, step.name)
            case "rename":
                self.before[step.person.id, self.called[step.repo].lower()] = step.repo
                self._call(step, step.name)
            case "delete":
                self.gone[step.repo] = self.called.pop(step.repo), time
            case "restore":
                self._call(step, self.gone.pop(step.repo)[0])
            case _:
                self.pushes[step.repo] = self.pushes.get(step.repo, 0) + 1

    def leads_to(self, person: Person, name: str) -> RepoId | None:
        """Which repository a name leads to."""
        for repo, called in self.called.items():
            if called.lower() == name.lower() and repo in _of(person):
                return repo
        led = self.before.get((person.id, name.lower()))
        return led if led in self.called else None

    def _call(self, step: Step, name: str) -> None:
        self.called[step.repo] = name
        self.before.pop((step.person.id, name.lower()), None)

    def _is_free(self, step: Step, name: str, besides: RepoId | None) -> bool:
        others = {repo: called for repo, called in self.called.items() if repo in _of(step.person) and repo != besides}
        return name.lower() not in {called.lower() for called in others.values()}


def _of(person: Person) -> set[RepoId]:
    return {repository_id(CHAIN, person.id, salt) for salt in SALTS}


@given(st.lists(steps, max_size=40))
@settings(max_examples=400, deadline=None)
def test_names_and_refs_are_what_a_model_says(history: Sequence[Step]) -> None:
    """Never two repositories of one name, never a ref lost, and a day is a day."""
    world, model = World(PARAMS), Model()
    for step in history:
        world.time += step.pause
        time = world.time + 1000  # that of the block which is to come
        owned = sum(repo in _of(step.person) for repo in model.called)
        expected = model.may(step, time, owned)

        happened = perform(world, model, step)

        assert expected == happened, step
        if happened:
            model.do(step, time)
        check(world, model)


def perform(world: World, model: Model, step: Step) -> bool:
    """Whether it took effect; a refusal must leave everything as it was."""
    before = dict(world.state.writes)
    try:
        world.run(step.person.id, action_of(model, step), availability=Availability(0, 0))
    except Refused:
        assert before == world.state.writes
        return False
    return True


def action_of(model: Model, step: Step) -> Action:
    match step.what:
        case "create":
            return CreateRepository(step.name, step.salt, False, MAIN, ObjectFormat.SHA1, "all", None)
        case "rename":
            return RenameRepository(step.repo, step.name)
        case "delete":
            return DeleteRepository(step.repo, step.name)
        case "restore":
            return RestoreRepository(step.repo)
        case _:
            done = model.pushes.get(step.repo, 0)
            update = moved(MAIN, _tip(done), _tip(done + 1)) if done else created(MAIN, _tip(1))
            return pushing(step.repo, update)


def check(world: World, model: Model) -> None:
    """Every name, every list, every count and every ref."""
    for person in PEOPLE:
        own = {repo: name for repo, name in model.called.items() if repo in _of(person)}
        listed = {found.id: found.name for found in queries.repositories_of(world.state, person.id)}
        assert own == listed
        counter = paths.account_counter(person.id, paths.Count.REPOSITORIES)
        assert len(own) == queries.count(world.state, counter)
        for name in NAMES:
            found = queries.repository_by_name(world.state, person.name, name)
            assert model.leads_to(person, name) == (None if found is None else found.id)
    for repo in {*model.called, *model.gone}:
        assert (repo in model.called) == (queries.repository(world.state, repo) is not None)
        done = model.pushes.get(repo, 0)
        assert world.refs(repo) == ({MAIN: _tip(done)} if done else {})


def _tip(number: int) -> Oid:
    return Oid(number.to_bytes(20, "big"))
