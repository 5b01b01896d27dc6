"""What each write of the users makes untrue: a Touch, from who does what.

It has a tag where the answers that depend on a write cannot be counted (the pages and
badges of a channel) and the key of each answer elsewhere. The checker of a replay is the
judge of whether one is missing. The report's cache is told the entity alone, as its
helpers have it.
"""

from __future__ import annotations

from datetime import timedelta

from fluxlab.caching.keys import build_key
from fluxlab.caching.layer import Touch
from fluxlab.caching.replays.resources import FIRST_PAGE
from fluxlab.caching.replays.scenes import DAYS, Scene, Stage, companion, newcomer


def nothing(stage: Stage, scene: Scene) -> Touch:
    """No cached answer is touched."""
    return Touch()


def message_sent(stage: Stage, scene: Scene) -> Touch:
    """A new message: page, badges, header, inboxes, dashboard, the day of its author."""
    people, channel = stage.people, scene.conversation
    stage.join("author", channel, scene.user)
    identity = people.conversations[channel]
    organization = people.conversations_of[channel][0]
    keys = [
        build_key.conversation(identity),
        # The clock of the data stands still, so its answer does; a live one would not.
        build_key.user_activity(people.users[scene.user], people.today),
    ]
    if organization >= 0:
        keys.append(build_key.organization_dashboard(people.organizations[organization]))
    keys += [
        build_key.user_conversations(people.users[one])
        for one in stage.members("conversation", channel)
    ]
    return Touch((f"conv:{identity}:messages",), tuple(keys), _channel(stage, scene))


def _channel(stage: Stage, scene: Scene) -> tuple[str, str]:
    return "conversation", str(stage.people.conversations[scene.conversation])


def page_changed(stage: Stage, scene: Scene) -> Touch:
    """The text or the state of a message that stands on the newest page."""
    identity = stage.people.conversations[scene.conversation]
    key = build_key.messages_page(identity, FIRST_PAGE)
    return Touch((), (key,), _channel(stage, scene))


def message_hidden(stage: Stage, scene: Scene) -> Touch:
    """A message is gone from pages and badges."""
    identity = stage.people.conversations[scene.conversation]
    return Touch((f"conv:{identity}:messages",), (), _channel(stage, scene))


def _membership(stage: Stage, scene: Scene, user: int) -> Touch:
    person = stage.people.users[user]
    identity = stage.people.conversations[scene.conversation]
    keys = (
        build_key.conversation_participants(identity),
        build_key.user_conversations(person),
        build_key.unread(person, identity),
    )
    return Touch((), keys, _channel(stage, scene))


def marker_moved(stage: Stage, scene: Scene) -> Touch:
    """Somebody read a channel to its end."""
    return _membership(stage, scene, scene.user)


def channel_entered(stage: Stage, scene: Scene) -> Touch:
    """Somebody new is in a channel."""
    user = newcomer(stage, scene)
    stage.join("conversation", scene.conversation, user)
    return _membership(stage, scene, user)


def channel_left(stage: Stage, scene: Scene) -> Touch:
    """Somebody left a channel."""
    return _membership(stage, scene, companion(stage, scene))


def account_changed(stage: Stage, scene: Scene) -> Touch:
    """A column of an account that is shown nowhere else."""
    people = stage.people
    identity = people.users[scene.user]
    keys = (build_key.user(identity), build_key.user_by_email(people.emails[scene.user]))
    return Touch((), keys, ("user", str(identity)))


def profile_changed(stage: Stage, scene: Scene) -> Touch:
    """A name and a picture, which stand in lists, pages and headers all over the place."""
    people, user = stage.people, scene.user
    account = account_changed(stage, scene)
    keys = list(account.keys)
    for one in stage.groups("organization", user):
        keys.append(build_key.organization_members(people.organizations[one]))
    for one in stage.groups("project", user):
        keys.append(build_key.project_members(people.projects[one]))
    for one in stage.groups("uploader", user):
        keys.append(build_key.project_files(people.projects[one]))
    for one in stage.groups("conversation", user):
        keys.append(build_key.conversation_participants(people.conversations[one]))
    for one in stage.groups("author", user):
        keys.append(build_key.messages_page(people.conversations[one], FIRST_PAGE))
    for one in stage.groups("creator", user):
        keys.append(build_key.conversation(people.conversations[one]))
    for one in stage.groups("head", user):  # manager or client of a project
        keys += _lists_of_project(stage, one)
    return Touch((), tuple(dict.fromkeys(keys)), account.entity)


def _lists_of_project(stage: Stage, project: int) -> list[str]:
    users = stage.people.users
    return [
        build_key.user_projects(users[one]) for one in stage.members("project", project)
    ]


def project_changed(stage: Stage, scene: Scene) -> Touch:
    """Every column of a project, which its organization and its members list."""
    people, project = stage.people, scene.project
    organization = people.organizations[people.projects_of[project][0]]
    keys = [
        build_key.project(people.projects[project]),
        build_key.organization_projects(organization),
        build_key.organization_dashboard(organization),
        build_key.project_stats(people.projects[project]),
        *_lists_of_project(stage, project),
    ]
    return Touch((), tuple(keys), ("project", str(people.projects[project])))


def project_founded(stage: Stage, scene: Scene) -> Touch:
    """An organization has one project more."""
    identity = stage.people.organizations[scene.organization]
    keys = (
        build_key.organization_projects(identity),
        build_key.organization_dashboard(identity),
    )
    return Touch((), keys, ("organization", str(identity)))


def counters_changed(stage: Stage, scene: Scene) -> Touch:
    """The counters of a project page."""
    identity = stage.people.projects[scene.project]
    return Touch((), (build_key.project_stats(identity),), ("project", str(identity)))


def milestone_closed(stage: Stage, scene: Scene) -> Touch:
    """A milestone of a project."""
    identity = stage.people.projects[scene.project]
    keys = (build_key.project_milestones(identity), build_key.project_stats(identity))
    return Touch((), keys, ("project", str(identity)))


def project_joined(stage: Stage, scene: Scene) -> Touch:
    """Somebody new works on a project."""
    user, identity = newcomer(stage, scene), stage.people.projects[scene.project]
    stage.join("project", scene.project, user)
    keys = (
        build_key.project_members(identity),
        build_key.project_stats(identity),
        build_key.user_projects(stage.people.users[user]),
    )
    return Touch((), keys, ("project", str(identity)))


def organization_joined(stage: Stage, scene: Scene) -> Touch:
    """Somebody new belongs to an organization."""
    user, identity = newcomer(stage, scene), stage.people.organizations[scene.organization]
    stage.join("organization", scene.organization, user)
    keys = (
        build_key.organization_members(identity),
        build_key.organization_dashboard(identity),
        build_key.user_organizations(stage.people.users[user]),
    )
    return Touch((), keys, ("organization", str(identity)))


def team_joined(stage: Stage, scene: Scene) -> Touch:
    """Somebody new is in a team."""
    user = newcomer(stage, scene)
    # The report has no helper for teams, so its cache is not told.
    return Touch((), (build_key.user_teams(stage.people.users[user]),))


def organization_changed(stage: Stage, scene: Scene) -> Touch:
    """Every column of an organization, which its members list."""
    people = stage.people
    identity = people.organizations[scene.organization]
    members = stage.members("organization", scene.organization)
    keys = [build_key.organization(identity)]
    keys += [build_key.user_organizations(people.users[one]) for one in members]
    return Touch((), tuple(keys), ("organization", str(identity)))


def time_logged(stage: Stage, scene: Scene) -> Touch:
    """Hours of today on a project."""
    people = stage.people
    activity = build_key.user_activity(people.users[scene.user], people.today)
    touch = counters_changed(stage, scene)
    return Touch((), (*touch.keys, activity), touch.entity)


def time_corrected(stage: Stage, scene: Scene) -> Touch:
    """The hours of the newest entry of a user."""
    found = stage.people.times[scene.user]
    if found is None:
        return Touch()
    identity = stage.people.projects[found[1]]
    return Touch((), (build_key.project_stats(identity),), ("project", str(identity)))


def file_uploaded(stage: Stage, scene: Scene) -> Touch:
    """A new file of a project."""
    stage.join("uploader", scene.project, scene.user)
    return _files(stage, scene, scene.user, None)


def file_changed(stage: Stage, scene: Scene) -> Touch:
    """A column of a file that its project lists."""
    files = stage.people.files[scene.project]
    if not files:
        return Touch()
    key = build_key.project_files(stage.people.projects[scene.project])
    return Touch((), (key,), ("file", str(scene.pick(files).id)))


def file_deleted(stage: Stage, scene: Scene) -> Touch:
    """A file is gone."""
    files = [one for one in stage.people.files[scene.project] if one.is_original]
    if not files:
        return Touch()
    file = scene.pick(files)
    return _files(stage, scene, file.uploader, str(file.id))


def _files(stage: Stage, scene: Scene, uploader: int, file_id: str | None) -> Touch:
    people = stage.people
    identity = people.projects[scene.project]
    organization = people.organizations[people.projects_of[scene.project][0]]
    keys = [
        build_key.project_files(identity),
        build_key.project_stats(identity),
        build_key.organization_dashboard(organization),
    ]
    # The query counts files since the day, not of the day: every day's answer changes.
    keys += [
        build_key.user_activity(people.users[uploader], people.today - timedelta(days=back))
        for back in range(DAYS)
    ]
    entity = ("file", file_id) if file_id else ("project", str(identity))
    return Touch((), tuple(keys), entity)


def invoice_paid(stage: Stage, scene: Scene) -> Touch:
    """An invoice of an organization was paid."""
    identity = stage.people.organizations[scene.organization]
    key = build_key.organization_dashboard(identity)
    return Touch((), (key,), ("organization", str(identity)))
