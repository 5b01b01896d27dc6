"""What the cache stores comes back with the same type and value, or is refused."""

from __future__ import annotations

import builtins
import enum
import ipaddress
import random
import struct
import zlib
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.types.range import Range

from fluxlab.caching import codec, scalars
from fluxlab.caching.codec import Corrupt, Unfaithful, decode, encode
from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

QUICK = settings(
    max_examples=150,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
#: For mutants: nobody has to read the smallest example.
HASTY = settings(
    QUICK,
    max_examples=3_000,
    phases=[Phase.generate],
    database=None,
    derandomize=True,  # or one run in twenty finds no exponent to lose
)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC")


def facts(value: object) -> object:
    """Everything that has to be the same afterwards, so that two NaN are equal."""
    kind = type(value)
    if isinstance(value, float):
        return kind, struct.pack("!d", value)
    if isinstance(value, Decimal):
        return kind, value.as_tuple()
    if isinstance(value, datetime | time):
        naive = value.replace(tzinfo=None, fold=0)
        return kind, naive, value.fold, facts_of_zone(value.tzinfo)
    if isinstance(value, dict):
        return kind, [(facts(key), facts(one)) for key, one in value.items()]
    if isinstance(value, set | frozenset):
        return kind, sorted(repr(facts(one)) for one in value)
    if isinstance(value, list | tuple):
        return kind, [facts(one) for one in value]
    return kind, value


def facts_of_zone(zone: tzinfo | None) -> object:
    if isinstance(zone, ZoneInfo):
        return ZoneInfo, zone.key, zone is ZoneInfo(zone.key)
    return type(zone), repr(zone), zone is UTC


def comes_back(value: object) -> bool:
    return facts(decode(encode(value))) == facts(value)


zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.sampled_from(ZONES).map(ZoneInfo),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
    st.builds(timezone, st.just(timedelta(hours=2)), st.text("abc", max_size=3)),
)
folds = st.integers(0, 1)
moments = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
    *(st.datetimes(), zones, folds),
)
clock_times = st.builds(
    lambda clock, zone, fold: clock.replace(tzinfo=zone, fold=fold),
    *(st.times(), zones, folds),
)
hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 1 << 999]),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.decimals().filter(lambda value: not value.is_snan()),
    st.sampled_from([Decimal("-0"), Decimal("0E+5"), Decimal("1.50"), Decimal("NaN123")]),
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    moments,
    clock_times,
    st.ip_addresses(),
)
hashables = st.recursive(
    hashable_scalars,
    lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.frozensets(inner),
    max_leaves=4,
)
names = st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True)


def rows_of(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Rows that could be columns, and some that only just could not."""
    return names.flatmap(
        lambda columns: st.lists(
            st.fixed_dictionaries(dict.fromkeys(columns, inner))
            | st.permutations(columns).map(dict.fromkeys),
            min_size=4,
            max_size=6,
        )
    )


values = st.recursive(
    hashable_scalars | st.decimals() | st.sets(hashables, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(st.tuples(inner, inner), max_size=6),
        st.tuples(inner, inner, inner),
        st.dictionaries(hashables, inner, max_size=4),
        rows_of(inner),
    ),
    max_leaves=12,
)


def round_trip(value: object) -> None:
    """Property P6; a dict that has a NaN twice as its key may be refused instead."""
    try:
        assert comes_back(value)
    except Unfaithful as refusal:
        assert "two keys" in str(refusal)  # noqa: PT017 - it may also come back


test_every_value_comes_back_with_its_type = QUICK(given(values)(round_trip))


class Level(enum.IntEnum):
    LOW = 1


class Shouting(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")


class OwnZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "own"


class Sly(dict):  # type: ignore[type-arg]
    """Says that it is a dict."""

    @property
    def __class__(self) -> type:
        return dict

    @__class__.setter
    def __class__(self, kind: type) -> None: ...


def nested(levels: int, wrap: Callable[[object], object]) -> object:
    value: object = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def cycle() -> list[object]:
    value: list[object] = []
    value += [value, value]
    return value


ODD: dict[str, object] = {
    "an int of an enum": Level.LOW,
    "a str of its own class": Shouting("secret"),
    "a named tuple": Point(1, 2),
    "an ordered dict": OrderedDict(a=1),
    "a dict in disguise": Sly(a=1),
    "a bytearray": bytearray(b"secret"),
    "a memoryview": memoryview(b"secret"),
    "an extension type": msgpack.ExtType(1, b"secret"),
    "a timestamp of msgpack": msgpack.Timestamp(1),
    "a complex number": 1j,
    "a class": int,
    "an object": SimpleNamespace(secret=1),
    "a function": print,
    "a range of PostgreSQL": Range(1, 2),
    "a lone surrogate": "secret\ud800",
    "a lone surrogate as a key": {"secret\ud800": 1},
    "a zone of its own class": datetime(2026, 1, 1, tzinfo=OwnZone()),
    "a zone that its name does not lead to": time(1, tzinfo=ZoneInfo.no_cache("UTC")),
    "a zone named by a surrogate": time(1, tzinfo=timezone(timedelta(0), "\ud800")),
    "a zone named by a subclass": time(1, tzinfo=timezone(timedelta(0), Shouting("s"))),
    "an address with a surrogate": ipaddress.ip_address("fe80::1%\ud800"),
    "two keys that are written alike": {Decimal("NaN"): 1, Decimal("NaN"): 2},
    "a cycle": cycle(),
    "lists nested too deep": nested(150, lambda value: [value]),
    "tuples nested too deep": nested(20, lambda value: (value,)),
    "shared lists without end": nested(90, lambda value: [value, value]),
}
#: Those of which an example can be printed.
SMALL_ODD = [value for name, value in ODD.items() if "nested" not in name][:-2]
WRAPPINGS: tuple[Callable[[object], object], ...] = (
    lambda value: value,
    lambda value: [value],
    lambda value: (value, 1),
    lambda value: {"key": value},
    lambda value: [{"a": 1, "b": value}] * 4,
    lambda value: [{"a": 1, "b": 2}] * 4 + [{"a": 1, "b": value}],
    lambda value: [(1, 2)] * 4 + [(1, value)],
)


@pytest.mark.parametrize("odd", ODD)
def test_what_would_come_back_different_is_refused_wherever_it_stands(odd: str) -> None:
    for wrap in WRAPPINGS:
        with pytest.raises(Unfaithful) as refusal:
            encode(wrap(ODD[odd]))
        assert "secret" not in str(refusal.value)
        assert isinstance(refusal.value, FluxlabError)


def test_keys_of_a_row_that_only_look_like_text_are_refused() -> None:
    rows: list[object] = [{"a": 1}] * 4
    with pytest.raises(Unfaithful, match="Shouting"):
        encode([*rows, {Shouting("a"): (1,)}])


@QUICK
@given(st.recursive(values | st.sampled_from(SMALL_ODD), st.lists, max_leaves=5))
def test_an_odd_value_is_refused_or_comes_back(value: object) -> None:
    try:
        data = encode(value)
    except Unfaithful:
        return
    assert facts(decode(data)) == facts(value)


def test_the_deepest_that_is_written_is_read() -> None:
    for wrap, levels in (
        (lambda value: (value,), codec.MAX_NESTED),
        (lambda value: frozenset([value]), codec.MAX_NESTED),
        (lambda value: [value], codec.MAX_DEPTH),
        (lambda value: {"plan": value}, codec.MAX_DEPTH),
        (lambda value: [*[{"a": 1}] * 3, {"a": value}], codec.MAX_NESTED),
    ):
        assert comes_back(nested(levels, wrap))


def test_rows_in_rows_fall_back_to_lists_where_they_would_nest_too_deep() -> None:
    value = nested(40, lambda inner: [*[{"a": 1}] * 3, {"a": inner}])
    assert comes_back(value)


TYPICAL: dict[str, object] = {
    "numeric": Decimal("12.340"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "timestamptz": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901),
    "date": date(2026, 1, 2),
    "time": time(3, 4, 5),
    "interval": timedelta(days=-1, microseconds=1),
    "bytea": b"\x00\xff",
    "tuple": (1, "a", None),
    "not a number": float("nan"),
    "large": 2**70,
    "null": None,
    "int keys": {1: "a", 2: "b"},
}


@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_value_of_postgresql_comes_back(name: str) -> None:
    assert comes_back(TYPICAL[name])


QUERY = """
select n::smallint, n::bigint as big, n / 3.0 as ratio, n::numeric(9, 2) as price,
    'nan'::numeric as no_number, 'infinity'::float8 as endless, n = 2 as is_two,
    'text' as words, 'x'::char(3) as padded, gen_random_uuid() as id,
    timestamptz '2026-10-25 00:30+00' + n * interval '1 hour' as moment,
    timestamp '2026-01-02 03:04:05.678' as wall, date '2026-01-02' as day,
    time '03:04:05' as clock, timetz '03:04:05+02:30' as clock_there,
    interval '1 day 2 hours' as lasts, '\\xdeadbeef'::bytea as raw, null as nothing,
    array[1, null, 3] as numbers, array[[1.5], [2.5]] as matrix,
    array[gen_random_uuid()] as ids, '{"a": [1, {"b": null}]}'::jsonb as document,
    '[1.5, "x"]'::json as text_document, row(1, 'a') as record,
    inet '10.0.0.1' as host, inet '10.0.0.1/8' as interface, cidr '10.0.0.0/8' as net,
    inet '::1' as host6, point(1, 2) as place, b'101' as bits, 'a=>b' as words_again,
    to_tsvector('a b') as terms, 12.3::money as money, n::oid as oid, 'x'::"char" as byte
from generate_series(1, 6) as n
"""


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "Etc/GMT+3", "+02:30"])
@pytest.mark.parametrize("is_binary", [False, True])
def test_rows_of_postgresql_come_back(
    postgres: PostgresServer, zone: str, is_binary: bool
) -> None:
    with connect(postgres, "postgres") as connection:
        connection.execute("select set_config('TimeZone', %s, false)", [zone])
        cursor = connection.execute(QUERY, binary=is_binary)
        rows = cursor.fetchall()
        assert cursor.description is not None
        columns = [column.name for column in cursor.description]
    as_dicts = [dict(zip(columns, row, strict=True)) for row in rows]
    assert len(rows) == 6
    for answer in (rows, as_dicts, tuple(rows), rows[0], as_dicts[:1]):
        assert comes_back(answer)


def test_a_range_of_postgresql_is_refused(postgres: PostgresServer) -> None:
    with connect(postgres, "postgres") as connection:
        row = connection.execute("select int4range(1, 5)").fetchone()
    with pytest.raises(Unfaithful, match="Range"):
        encode(row)


def real_entries() -> list[bytes]:
    rows = [{**TYPICAL, "n": n} for n in range(5)]
    noise = random.Random(1).randbytes(300)
    large = ["the same words again"] * 1_000
    return [encode(one) for one in (TYPICAL, rows, [(1, 2)] * 5, None, [noise], large)]


def test_an_entry_cut_off_anywhere_is_corrupt() -> None:
    for data in real_entries():
        for length in range(len(data)):
            with pytest.raises(Corrupt):
                decode(data[:length])
        with pytest.raises(Corrupt):
            decode(data + b"\x00")


def test_an_entry_with_one_bit_turned_is_corrupt() -> None:
    for data in real_entries():
        for place in range(0, len(data) * 8, 3):
            damaged = bytearray(data)
            damaged[place // 8] ^= 1 << place % 8
            with pytest.raises(Corrupt):
                decode(bytes(damaged))


def sealed(body: bytes, form: int = 1) -> bytes:
    """Bytes with a right checksum: whoever writes to our server can make one too."""
    return bytes([form]) + zlib.crc32(body).to_bytes(4, "big") + body


extensions = st.builds(
    lambda code, body: msgpack.packb(msgpack.ExtType(code, body)),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(["nan", "x", "10.0.0.1/99", "z../etc/passwd"]).map(str.encode),
        st.binary(min_size=8, max_size=8).map(lambda stamp: stamp + b"zEurope/Nowhere"),
        st.recursive(
            st.none() | st.integers(-9, 9) | st.text(max_size=3),
            lambda inner: st.lists(inner) | st.dictionaries(st.integers(0, 9), inner),
            max_leaves=8,
        ).map(msgpack.packb),
    ),
)


@settings(max_examples=600, deadline=None)
@given(
    st.binary(max_size=60)
    | st.binary(max_size=60).map(sealed)
    | extensions.map(sealed)
    | st.binary(max_size=60).map(lambda body: sealed(zlib.compress(body), 0x81))
)
def test_any_other_bytes_are_corrupt_or_a_value(data: bytes) -> None:
    try:
        decode(data)
    except Corrupt as refusal:
        assert isinstance(refusal, FluxlabError)  # noqa: PT017 - a value is fine too


def test_a_body_that_nests_without_end_is_corrupt_and_ends_no_process() -> None:
    body = b"\x01"
    for _ in range(1_000):
        body = msgpack.packb(msgpack.ExtType(32, b"\x91" + body))
    for deep in (body, b"\x91" * 100_000, b"\x81\x01" * 100_000):
        with pytest.raises(Corrupt):
            decode(sealed(deep))


def test_a_small_entry_that_would_fill_the_memory_is_corrupt() -> None:
    bomb = zlib.compress(msgpack.packb(b"\x00" * (codec.MAX_BYTES + 1)), 9)
    assert len(bomb) < 100_000
    with pytest.raises(Corrupt):
        decode(sealed(bomb, 0x81))
    for claim in (
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ):
        with pytest.raises(Corrupt):
            decode(sealed(claim))


def test_what_could_not_be_read_again_is_not_written() -> None:
    with pytest.raises(Unfaithful):
        encode(b"\x00" * (codec.MAX_BYTES + 1))


def test_another_version_of_the_format_is_corrupt() -> None:
    good = encode([1, 2])
    with pytest.raises(Corrupt, match="format"):
        decode(b"\x02" + good[1:])


def test_large_bodies_are_compressed_where_it_helps_and_only_there() -> None:
    repeated = ["the same words again"] * 10_000
    assert len(encode(repeated)) < len(msgpack.packb(repeated)) // 10
    assert encode(repeated)[0] == 0x81
    assert encode(repeated[:100])[0] == 0x01
    noise = random.Random(1).randbytes(30_000)
    assert encode(noise)[0] == 0x01
    assert comes_back(repeated)
    assert comes_back(noise)


def test_shared_columns_are_written_once() -> None:
    def rows(count: int, name: str) -> bytes:
        return encode([{name: n, "b": n} for n in range(count)])

    long = "a" * 40
    assert len(rows(50, long)) - len(rows(50, "a")) == 40
    assert comes_back([{}] * 9)
    assert comes_back([()] * 9)
    assert comes_back([{"a": 1}, {"a": 1, "b": 2}] * 9)
    assert comes_back([{"a": 1, "b": 2}, {"b": 2, "a": 1}] * 9)
    assert comes_back([{1: 1}] * 9)
    assert comes_back([(1,), (1, 2)] * 9)


Break = Callable[[pytest.MonkeyPatch], None]


def tuple_as_list(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(codec._CONTAINERS, tuple, lambda one, value: one.of_list([*value]))


def naive_for_aware(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        scalars.WRITERS, datetime, lambda value: (scalars._NAIVE, scalars._moment(value))
    )


def fold_forgotten(patch: pytest.MonkeyPatch) -> None:
    whole = scalars._moment
    patch.setattr(scalars, "_moment", lambda value: whole(value.replace(fold=0)))


def order_of_keys_ignored(patch: pytest.MonkeyPatch) -> None:
    def columns(rows: list[dict[str, object]]) -> list[object] | None:
        if not all(type(row) is dict and set(row) == set(rows[0]) for row in rows):
            return None
        return [[*rows[0]], *([row[name] for row in rows] for name in rows[0])]

    patch.setattr(codec, "_columns_of_dicts", columns)


def exponent_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        scalars.WRITERS, Decimal, lambda value: (2, str(value.normalize()).encode())
    )


def large_ints_unsigned(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(scalars.READERS, 1, lambda data: int.from_bytes(data, "big"))


@pytest.mark.parametrize(
    "mutate",
    [
        *(tuple_as_list, naive_for_aware, fold_forgotten),
        *(order_of_keys_ignored, exponent_forgotten, large_ints_unsigned),
    ],
)
def test_the_round_trip_kills_a_codec_that_is_nearly_right(
    monkeypatch: pytest.MonkeyPatch, mutate: Break
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        HASTY(given(values)(round_trip))()


def test_the_refusals_kill_a_codec_that_asks_isinstance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nearest(value: object) -> type:
        kinds = (bool, int, str, dict, list, tuple)
        found = (kind for kind in kinds if isinstance(value, kind))
        return next(found, builtins.type(value))

    monkeypatch.setattr(codec, "type", nearest, raising=False)
    for odd in ("an int of an enum", "a named tuple"):
        with pytest.raises(pytest.fail.Exception):
            test_what_would_come_back_different_is_refused_wherever_it_stands(odd)


def test_addresses_keep_their_kind() -> None:
    texts = ("10.1.2.3", "10.1.2.3/32", "::1", "fe80::1%eth0", "::1/128")
    kinds = (ipaddress.ip_address, ipaddress.ip_interface, ipaddress.ip_network)
    for text in texts:
        for kind in kinds:
            try:
                value = kind(text)
            except ValueError:
                continue
            assert comes_back(value)
