"""The two servers, real ones: started, found again, recovered and stopped.

    postgres     start, find, stop PostgreSQL; or check one that somebody else runs
    redis        the same for Valkey
    connections  every way of talking to either

The rest serves these three: `binaries` (what can be run), `process` (locks, accounts,
pids), `place` (where state lives), `cluster` (initdb and configuration), `postmaster`
(the running server process) and `dial` (connecting, and errors without passwords).
"""
