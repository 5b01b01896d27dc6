"""All 21 tables of a profile, a size and a seed, in an order that suits loading."""

from __future__ import annotations

from fluxlab.dataset.business import Business
from fluxlab.dataset.cells import Context, TableSource
from fluxlab.dataset.files import Files
from fluxlab.dataset.messages import Messages
from fluxlab.dataset.people import People
from fluxlab.dataset.profile import Profile
from fluxlab.dataset.talk import Talk
from fluxlab.dataset.timeline import Timeline
from fluxlab.dataset.work import Work

__all__ = ["TableSource", "table_sources"]


def table_sources(profile: Profile, users: int, seed: int) -> tuple[TableSource, ...]:
    """Every table, parents before children; nothing is drawn until a chunk is asked for.

    >>> from fluxlab.dataset.profile import load_profile
    >>> [source.name for source in table_sources(load_profile(), 100, 11)][:3]
    ['users', 'organizations', 'organization_members']
    """
    context = Context(profile, seed, users, Timeline(profile))
    people = People(context)
    work = Work(people)
    talk = Talk(work)
    return (
        *people.sources(),
        *work.sources(),
        *Files(work).sources(),
        *Business(work).sources(),
        *talk.sources(),
        *Messages(talk).sources(),
    )
