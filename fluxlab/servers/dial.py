"""Connect to PostgreSQL, and say in one sentence why it did not work.

libpq's own messages may repeat a badly written URL, so no error leaves this file with
the original as its cause.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fluxlab.errors import FluxlabError, mask

CONNECT_TIMEOUT_S = 5

# The login of a URL ends at its last @: one written unescaped belongs to the password.
# Where that hides a host name too, it is the lesser evil.
_LOGIN = re.compile(r"^(?P<before>\s*\w+://[^\s:/]*:)(?P<password>.*)(?=@)", re.DOTALL)
_WORD = re.compile(r"password\s*=\s*(?P<password>'(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE)


def dial(
    conninfo: str,
    *,
    database: str | None = None,
    application: str = "fluxlab",
    autocommit: bool = True,
) -> psycopg.Connection:
    """Open a connection that prepares nothing, or raise FluxlabError without a password.

    Without prepared statements because a cached plan does not notice a hidden index.
    """
    try:
        full = complete(conninfo, database, application)
        return psycopg.connect(full, autocommit=autocommit, prepare_threshold=None)
    except (psycopg.Error, UnicodeError) as error:
        failure = _explain(error, conninfo, database)
    raise failure


def complete(conninfo: str, database: str | None, application: str) -> str:
    """Return a connection string with the database, the application and a time limit."""
    wanted: dict[str, str | int] = {"application_name": application}
    if database is not None:
        wanted["dbname"] = database
    if "connect_timeout" not in conninfo_to_dict(conninfo):
        wanted["connect_timeout"] = CONNECT_TIMEOUT_S
    return make_conninfo(conninfo, **wanted)


def shown(conninfo: str) -> str:
    """Return a connection string with its password hidden, for people.

    >>> shown("postgresql://ann:p@ss@db/x")
    'postgresql://ann:***@db/x'
    """
    return mask(_LOGIN.sub(r"\g<before>***", conninfo))


def redact(text: str, conninfo: str) -> str:
    """Hide in `text` every form in which the password of `conninfo` may appear."""
    for secret in sorted(_secrets(conninfo), key=len, reverse=True):
        text = text.replace(secret, "***")
    return mask(text)


def _secrets(conninfo: str) -> set[str]:
    found = [m["password"] for p in (_LOGIN, _WORD) for m in p.finditer(conninfo)]
    # An unescaped @ or / cuts the password in pieces, and a piece ends up as a host name.
    pieces = [piece for text in found for piece in re.split(r"[@/:?#\s]", text)]
    forms = [*found, *pieces, *(text.strip("'") for text in found)]
    return {form for text in forms for form in (text, unquote(text)) if form}


def _explain(error: Exception, conninfo: str, database: str | None) -> FluxlabError:
    where = shown(conninfo)
    text = " ".join(str(error).split())
    if isinstance(error, psycopg.ProgrammingError):
        # In words (host=...) that cannot be read, nobody knows where the password ends.
        address = f"The PostgreSQL address {where}" if "://" in conninfo else "DATABASE_URL"
        return FluxlabError(
            f"{address} cannot be read.",
            "Write it as postgresql://user@host:port/database, a password after the user"
            " and a colon, with @ : / ? # % in it percent-encoded.",
        )
    if "password authentication failed" in text or "no password supplied" in text:
        return FluxlabError(
            f"The PostgreSQL server at {where} refused the user name or the password.",
            "Correct them in DATABASE_URL (or DB_USER and DB_PASSWORD).",
        )
    if re.search(r'database ".*" does not exist', text):
        return FluxlabError(
            f"There is no database {database or 'of that name'} on the PostgreSQL server at"
            f" {where}.",
            "Build it with fluxlab run, or correct the name.",
        )
    reason = redact(text, conninfo).removeprefix("connection failed: ")
    return FluxlabError(
        f"No connection to PostgreSQL at {where}: {reason.rstrip('.')}.",
        "Check that it runs and can be reached, and the address in DATABASE_URL (or DB_HOST"
        " and DB_PORT).",
    )
