"""A node's settings: file, environment, flags; what is refused, and that the pages tell of all of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from attrs import fields

from guts_cli.adapters import node_settings, serve_settings, site_settings
from guts_cli.config import SETTINGS, Address, BadConfiguration, Config, Given, check_doors, config_text, load, set_flag
from guts_cli.config.kinds import Value, Whole, toml_of
from guts_cli.config.limits import Whose, limits_table
from guts_cli.config.reference import PAGES
from guts_cli.config.reference import main as reference
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import Misconfigured, failure_of
from guts_core.forge.params import TRANSACTION_BYTES_MAX, Params
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from guts_net.settings import NodeSettings

CHOSEN: dict[str, Value] = {
    "node.name": "ada",
    "http.listen": "[::1]:9000",
    "http.trusted_proxies": ("127.0.0.1", "10.0.0.0/8"),
    "http.insecure": True,
    "limits.queue_seconds": 2.5,
    "limits.disk_reserve_mib": 12,
    "http.public_url": "https://git.example.org/guts",
}


def a_file(path: Path, text: str) -> Path:
    file = path / "config.toml"
    file.write_text(text)
    return file


def problems(path: Path, text: str, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(BadConfiguration) as refusal:
        load(a_file(path, text), environment or {})
    assert failure_of(refusal.value).exit_code == 2
    return refusal.value.problems


def test_a_file_reads_back_as_written(tmp_path: Path) -> None:
    """The file that `node init` writes is one that `node run` accepts, and it shows every setting."""
    config = Config.of(CHOSEN)
    text = config_text(config)

    assert config == load(a_file(tmp_path, text), {}).config
    assert Config() == load(a_file(tmp_path, config_text(Config())), {}).config
    assert config.http_address == Address("::1", 9000)
    uncommented = tomllib.loads(text.replace("\n# ", "\n").split("\n", 3)[3])
    assert {f"{section}.{name}" for section, keys in uncommented.items() for name in keys} == set(SETTINGS)


def test_the_default_of_a_setting_is_one_that_it_allows() -> None:
    """And one that a file, a variable and a flag can all give."""
    for one in SETTINGS.values():
        assert one.default == one.kind.read(tomllib.loads(f"x = {toml_of(one.default)}")["x"])
        plain = ",".join(one.default) if isinstance(one.default, tuple) else toml_of(one.default).strip('"')
        assert one.default == one.kind.parse(plain)
        assert len(one.reason) > 20
        assert one.reason.endswith(".")


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """And of each value it is known where it comes from."""
    file = a_file(tmp_path, '[limits]\nfetches = 1\npushes = 1\nconnections = 1\n[http]\nlisten = "127.0.0.1:1"\n')
    environment = {
        "GUTS_LIMITS_PUSHES": "2",
        "GUTS_LIMITS_CONNECTIONS": "2",
        "GUTS_HOME": "/x",
        "GUTS_NODE": "http://x",
    }
    loaded = load(file, environment, [set_flag("limits.connections=3")])
    limits = loaded.config.limits

    assert (limits.fetches, limits.pushes, limits.connections) == (1, 2, 3)
    assert loaded.origin("limits.fetches") == f"{file}, line 2"
    assert loaded.origin("http.listen") == f"{file}, line 6"
    assert loaded.origin("limits.pushes") == "environment variable GUTS_LIMITS_PUSHES"
    assert loaded.origin("limits.connections") == "--set limits.connections"
    assert loaded.origin("limits.pack_mib") == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node]\n\ncolour = 3\n", "config.toml, line 3: unknown setting 'colour'; [node] knows name, log_level,"),
        ("[limits]\nfetchs = 3\n", "line 2: unknown setting 'fetchs'; did you mean limits.fetches?"),
        ('[http]\nlisten = "no port"\n', "line 2: http.listen: 'no port' is not HOST:PORT"),
        ('[p2p]\nlisten = "example.org:80"\n', "'example.org' is not an IP address of this machine"),
        ("[limits]\nfetches = true\n", "limits.fetches: True is not a whole number from 1 to 10000"),
        ("[limits]\nfetches = 0\n", "0 is not a whole number from 1 to 10000"),
        ("[limits]\nqueue_seconds = nan\n", "nan is not a number from 0 to 600 (seconds)"),
        ('[limits]\ndisk_reserve_mib = "much"\n', "'much' is not a whole number from 0 to"),
        ('[node]\nlog_level = "loud"\n', "'loud' is not one of debug, info, warning, error"),
        ("[node]\nname = 3\n", "3 is not text in quotes"),
        ("[http]\ninsecure = 1\n", "1 is not true or false"),
        ('[http]\ntrusted_proxies = "10.0.0.0/8"\n', "is not a list of addresses"),
        ('[http]\ntrusted_proxies = ["10.0.0.1/8"]\n', "'10.0.0.1/8' is no address or range"),
        ('[http]\npublic_url = "ftp://x"\n', "'ftp://x' is not a URL such as"),
        ('[http]\npublic_url = "https://u:p@x"\n', "is not a URL such as"),
        ("# x\n[server]\nname = 'x'\n", "line 2: unknown section 'server'; there are node, http, p2p,"),
        ("http.colour = 3", "line 1: unknown setting 'colour'"),
        ("http = {colour = 3}", "line 1: unknown setting 'colour'"),
        ("limits = 3", "line 1: 'limits' is a section"),
        ("[node]\nname = \n", "config.toml: Invalid value (at line 2"),
        ("name = 'ada'", "line 1: 'name' stands in a section now: write it below a line [node], as name = ..."),
        ("\nhttp = '127.0.0.1:1'", "line 2: 'http' is a section now: write [http] and below it listen = '127.0.0.1:1'"),
        ("\\", "config.toml: "),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    """A mistyped setting that is ignored is one that its author trusts."""
    (problem,) = problems(tmp_path, text)

    assert words in problem


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """A person mends a file once, not mistake by mistake; variables are judged like the file."""
    environment = {"GUTS_LIMITS_FETCHES": "x", "GUTS_HTTP_COLOUR": "red", "GUTS_TOKEN": "y"}
    found = problems(tmp_path, "[limits]\nfetches = 0\n[node]\nshoes = 2\n", environment)

    assert [problem.split(": ")[0].removeprefix(f"{tmp_path}/") for problem in found] == [
        "config.toml, line 2",
        "config.toml, line 4",
        "environment variable GUTS_HTTP_COLOUR",
        "environment variable GUTS_LIMITS_FETCHES",
    ]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Not with a traceback."""
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(BadConfiguration, match=r"config\.toml"):
        load(file, {})


def test_a_flag_that_sets_nothing_is_refused() -> None:
    """`--set limits.fetches` without a value is a mistake, not an empty value."""
    with pytest.raises(Misconfigured, match=r"is not SECTION\.KEY=VALUE"):
        set_flag("limits.fetches")
    with pytest.raises(BadConfiguration, match=r"--set no\.such: unknown section 'no'"):
        load(None, {}, [set_flag("no.such=1")])


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "10.1.2.3:80"])
def test_a_public_address_without_protection_is_refused(listen: str) -> None:
    """Tokens must not travel in the open because somebody changed one line."""
    with pytest.raises(Misconfigured, match="an address that others reach") as refusal:
        check_doors(Config.of({"http.listen": listen}))
    assert "--tls-cert" in str(refusal.value.next_step)
    assert "--insecure-http" in str(refusal.value.next_step)

    check_doors(Config.of({"http.listen": listen, "http.insecure": True}))
    check_doors(Config.of({"http.listen": listen, "http.trusted_proxies": ("10.0.0.1",)}))
    check_doors(Config.of({"http.listen": listen, "http.tls_cert": "a", "http.tls_key": "b"}))


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "localhost:0"])
def test_loopback_needs_no_protection(listen: str) -> None:
    """What never leaves the machine can be read by its owner only."""
    check_doors(Config.of({"http.listen": listen}))


def test_half_of_what_tls_needs_is_refused() -> None:
    """Rather than served without."""
    with pytest.raises(Misconfigured, match=r"http\.tls_key is not set"):
        check_doors(Config.of({"http.tls_cert": "a"}))
    with pytest.raises(Misconfigured, match=r"http\.tls_cert is not set"):
        check_doors(Config.of({"http.tls_key": "a"}))


def test_a_flag_may_hold_a_value_of_another_type() -> None:
    """Flags with names of their own give lists and answers."""
    given = [Given("http.insecure", True, "flag", is_text=False), Given("http.trusted_proxies", ("::1",), "f", False)]
    config = load(None, {}, given).config

    assert (config.http.insecure, config.http.trusted_proxies) == (True, ("::1",))


def test_the_defaults_are_those_of_the_adapters(tmp_path: Path) -> None:
    """A number that stands twice must be the same number; a program that embeds a node gets what the command gets."""
    directory, genesis = NodeDirectory(tmp_path), tmp_path / "genesis.json"
    told = node_settings(directory, genesis, Config.of({"p2p.listen": "127.0.0.1:0"}))

    assert told == NodeSettings(directory=tmp_path, genesis=genesis, log_path=directory.log)
    assert serve_settings(directory, Config()) == ServeSettings()
    assert site_settings(Config()) == Settings()


def test_every_limit_reaches_an_adapter(tmp_path: Path) -> None:
    """A setting that nothing reads is a promise that nobody keeps."""
    directory = NodeDirectory(tmp_path)

    def told(config: Config) -> object:
        genesis = tmp_path / "g"
        return node_settings(directory, genesis, config), serve_settings(directory, config), site_settings(config)

    others: dict[str, Value] = {
        "http.public_url": "https://x",
        "http.trusted_proxies": ("::1",),
        "p2p.listen": "[::1]:1",
        "p2p.advertise": ("git.example.org:7080",),
        "p2p.bootstrap": (f"{'ab' * 32}@10.0.0.1:7080",),
        "p2p.gossip_seconds": 1.0,
        "node.keep_blocks_hours": 1,
    }
    numbers = [
        key for key in SETTINGS if key.startswith(("limits.", "push.", "clock.")) or key.endswith("grace_seconds")
    ]
    for key in numbers:
        default = SETTINGS[key].default
        others[key] = default * 2 if isinstance(default, int | float) and default else 1
        kind = SETTINGS[key].kind
        if isinstance(kind, Whole) and default == kind.most:
            others[key] = kind.least
    for key, value in others.items():
        assert told(Config.of({key: value})) != told(Config()), key
    # These are used where the node is started: for the log, its doors, and what is said of it.
    assert set(SETTINGS) - set(others) == {
        "node.name", "node.log_level", "http.listen", "http.tls_cert", "http.tls_key", "http.insecure",
    }  # fmt: skip


def test_certificates_are_looked_for_in_the_node_directory(tmp_path: Path) -> None:
    """Unless their paths say where they are."""
    config = Config.of({"http.tls_cert": "tls/chain.pem", "http.tls_key": "/elsewhere/key.pem"})

    assert serve_settings(NodeDirectory(tmp_path), config).certificate == (
        tmp_path / "tls/chain.pem",
        Path("/elsewhere/key.pem"),
    )


def test_the_reference_pages_are_those_of_the_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m guts_cli.config.reference --write` makes them."""
    tree = Path(__file__).parents[2]
    assert reference(["x"], tree) == 0

    (tmp_path / "docs/reference").mkdir(parents=True)
    assert reference([], tmp_path) == 1
    assert capsys.readouterr().out.count("is not what the code says") == len(PAGES)
    assert reference(["--write"], tmp_path) == 0
    assert reference([], tmp_path) == 0


def test_every_limit_stands_in_the_table() -> None:
    """Those of the node as they are set, those of the network as it agreed, those of the rules."""
    params = Params(updates_max=7)
    rows = {row.name: row for row in limits_table(Config.of({"limits.fetches": 3}), params)}

    assert (rows["limits.fetches"].value, rows["limits.fetches"].whose) == (3, Whose.NODE)
    assert (rows["updates_max"].value, rows["updates_max"].whose) == (7, Whose.NETWORK)
    assert (rows["transaction"].value, rows["transaction"].whose) == (TRANSACTION_BYTES_MAX, Whose.RULES)
    assert {key for key in SETTINGS if key.startswith(("limits.", "push."))} < rows.keys()
    timings = {"delta_ms", "retry_ms", "heartbeat_ms", "epoch_ms"}
    bounds = {attribute.name for attribute in fields(Params) if type(attribute.default) is int} - timings
    assert bounds == {row.name for row in rows.values() if row.whose is Whose.NETWORK}
