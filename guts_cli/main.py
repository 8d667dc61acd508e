"""The ``guts`` command: the table of what it can do, and the one place where a command ends."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from guts_core.version import VERSION

from .outcomes import EXIT_CODES, EXIT_INTERRUPTED, EXIT_OK, failure_of, show_failure
from .shape import Entry, Group, split_at_separator

HERE = "guts_cli.main"
RUN, FORM, USE = "Run a network", "Form a network with others", "Use a network"


def _entry(module: str, attribute: str, line: str, section: str | None = "Commands") -> Entry:
    return Entry(f"guts_cli.commands.{module}", attribute, line, section)


NODE = Group(
    "node",
    help="One node of a network that several people run.",
    entries={
        "init": _entry("node", "init", "Make a node's keys and the entry file to hand over."),
        "run": _entry("node", "run", "Run the node until it is told to stop."),
        "status": _entry("node_status", "status", "Show how a node is, and the one thing to do about it."),
        "config": _entry("node", "config", "Check the settings; show each with where it comes from."),
    },
)
GENESIS = Group(
    "genesis",
    help="The file that a network begins with: new, then add every operator's entry, then seal.",
    entries={
        "new": _entry("genesis", "new", "Begin a draft."),
        "add": _entry("genesis", "add", "Add operators' entry files to the draft."),
        "seal": _entry("genesis", "seal", "Fix the draft; prints the chain id to compare aloud."),
    },
)
DEVNET = Group(
    "devnet",
    help="Several validators on this machine, each a process of its own.",
    entries={
        "start": _entry("devnet", "start", "Start or resume; without --detach, stay and show a table."),
        "stop": _entry("devnet", "stop", "Stop every node that was started here."),
        "status": _entry("devnet", "status", "Show every node: running, height, peers."),
        "start-node": _entry("devnet", "start_node", "Start one node that was stopped or killed."),
    },
)
ACCOUNT = Group(
    "account",
    help="Accounts: who acts on a network.",
    entries={"create": _entry("account", "create", "Make a key here and register an account for it.")},
)
TOKEN = Group(
    "token",
    help="Tokens: passwords for git and the API, limited in scope and time.",
    entries={
        "create": _entry("token", "create", "Create a token and print it, once."),
        "list": _entry("token_list", "list_", "List your tokens: scopes, nodes, end."),
        "revoke": _entry("token_list", "revoke", "End a token everywhere, at once."),
    },
)
KEY = Group(
    "key",
    help="Account keys: they sign here, and no node ever sees them.",
    entries={
        "show": _entry("key", "show", "Show public keys and ids; never a secret."),
        "rotate": _entry("key", "rotate", "Replace your account's key with a new one."),
        "new": _entry("key", "new", "Make a key here for an account of another machine."),
        "add": _entry("key", "add", "Let one more key sign for your account."),
        "remove": _entry("key", "remove", "Let a key sign no more."),
    },
)
REPO = Group(
    "repo",
    help="Repositories. A push to a name that is still free creates one, too.",
    entries={
        "create": _entry("repo", "create", "Create an empty repository."),
        "list": _entry("repo", "list_", "List the repositories you own or work in."),
        "view": _entry("repo", "view", "Show one: who can read it, branches, size, your role."),
        "edit": _entry("repo", "edit", "Change name, description, visibility, default branch."),
        "members": _entry("repo_sharing", "members", "List who works in one, and as what."),
        "share": _entry("repo_sharing", "share", "Let an account read, write or administer one."),
        "unshare": _entry("repo_sharing", "unshare", "Take an account's role away."),
        "delete": _entry("repo_removal", "delete", "Delete one; asks for its name."),
        "restore": _entry("repo_removal", "restore", "Bring one back, within 24 hours."),
    },
)
REF = Group(
    "ref",
    help="Branches and tags as the network's history tells them.",
    entries={"log": _entry("ref", "log", "Show how a ref moved, and who moved it.")},
)
TEXT = Group(
    "text",
    help="""Texts that people wrote, such as descriptions: they lie beside the chain and can be erased.

    Names, refs and what is in git cannot.
    """,
    entries={
        "list": _entry("text", "list_", "List a repository's texts: commitment, author, erased or not."),
        "erase": _entry("text", "erase", "Erase one for ever, on every node."),
    },
)
CONTEXT = Group(
    "context",
    help="""The networks you know: where their nodes are, and whom you act as there.

    A context is an address book for commands. What proofs are checked against is another thing: the
    genesis files that `guts network trust` pins.
    """,
    entries={
        "list": _entry("context", "list_", "List the networks you know."),
        "show": _entry("context", "show", "Show one: network, nodes, account."),
        "use": _entry("context", "use", "Choose the network that commands talk to."),
        "add": _entry("context", "add", "Add a network, or a node of one, by its URL."),
        "remove": _entry("context", "remove", "Forget a network; keys and tokens stay."),
    },
)
PROPOSE = Group(
    "propose",
    help="""Propose a change to the operators of validators; it counts as your approval.

    More than two thirds of them make it so, and all of them where seats change below four validators. What
    is approved takes effect with the next epoch, or with --now as soon as it is approved.
    """,
    entries={
        "add": _entry("network_decisions", "add", "Give a node a seat."),
        "remove": _entry("network_decisions", "remove", "Take a validator's seat away."),
        "rotate": _entry("network_nodes", "rotate", "Give your validator other keys; nobody votes on that."),
        "set": _entry("network_decisions", "set_", "Change parameters: KEY=VALUE..."),
        "rules": _entry("network_decisions", "rules", "Go over to other rules."),
        "end-epoch": _entry("network_decisions", "end_epoch", "End the epoch before its time."),
    },
)
NETWORK = Group(
    "network",
    help="A network as a whole: whose word you believe, who votes, and what its operators decide.",
    entries={
        "trust": _entry("network", "trust", "Pin the genesis file of a network."),
        "list": _entry("network", "list_", "List the networks that are pinned."),
        "validators": _entry("network_nodes", "validators", "Show who votes until when."),
        "propose": Entry(HERE, "PROPOSE", "Propose a change: add, remove, rotate, set, rules, end-epoch."),
        "vote": _entry("network_decisions", "vote", "Approve or reject what was proposed."),
        "show": _entry("network_decisions", "show", "Show what was proposed and who voted."),
        "rotate": _entry("network_nodes", "rotate", "Give your validator other keys."),
        "entry": _entry("network_nodes", "entry", "Make what a new node needs to be admitted."),
        "admit": _entry("network_nodes", "admit", "Let a node follow without voting."),
        "followers": _entry("network_nodes", "followers", "List the nodes that follow."),
        "dismiss": _entry("network_nodes", "dismiss", "Let a follower go."),
    },
)
SIM = Group(
    "sim",
    help="""Whole networks in memory, from one number: with crashes, partitions, loss and lying validators.

    `guts sim run --seed 5` plays one seed, `--nodes 100` of it shows how fast a hundred agree, and
    `guts sim soak --minutes 10 --swarm` looks for failures. A seed that breaks a promise is shrunk to a
    file that replays it, and that can be read as a diagram.
    """,
    entries={
        "run": _entry("sim", "run", "Run one seed, or many; exit code 1 when a promise broke."),
        "soak": _entry("sim_soak", "soak", "Run seeds for some minutes, and say what was reached."),
        "twins": _entry("sim_twins", "twins", "Play scripts in which one validator runs twice."),
        "shrink": _entry("sim", "shrink", "Find the smallest run that breaks the same promise."),
        "replay": _entry("sim", "replay", "Run a file of shrink again, without dice."),
        "show": _entry("sim", "show_", "Draw a file of shrink: nodes, messages, crashes, votes."),
    },
)
ROOT = Group(
    "guts",
    help="""A git forge that nobody can take down, censor or quietly rewrite.

    Begin with `guts up`: it starts a network of one node and tells you how to push to it.
    `guts devnet start` starts four validators that agree on every push. Then, in any git
    repository: `guts push YOU/NAME`. Every command takes --json, and explains itself with --help.
    """,
    entries={
        "up": _entry("up", "up", "Start one node, with an account and a token: nothing to set up.", RUN),
        "devnet": Entry(HERE, "DEVNET", "Several validators on this machine: start, stop, status.", RUN),
        "status": _entry("status", "status", "Show what a node knows: height, root, peers.", RUN),
        "node": Entry(HERE, "NODE", "One node of a larger network: init, run, status, config.", FORM),
        "join": _entry("join", "join", "Follow a network that runs: fetch, verify and serve its state.", FORM),
        "genesis": Entry(HERE, "GENESIS", "What a network begins with: new, add, seal.", FORM),
        "clone": _entry("clone", "clone", "Clone a repository: OWNER/NAME.", USE),
        "push": _entry("push", "push", "Push the current branch; the first push creates the repository.", USE),
        "pull": _entry("pull", "pull", "Pull into the current branch.", USE),
        "account": Entry(HERE, "ACCOUNT", "Create an account.", USE),
        "token": Entry(HERE, "TOKEN", "Tokens for git and the API: create, list, revoke.", USE),
        "repo": Entry(HERE, "REPO", "Create, list, view, edit, share, delete, restore.", USE),
        "ref": Entry(HERE, "REF", "Show how a branch or tag moved: log.", USE),
        "text": Entry(HERE, "TEXT", "List and erase what people wrote beside the history.", USE),
        "key": Entry(HERE, "KEY", "Show, rotate, add and remove account keys.", USE),
        "context": Entry(HERE, "CONTEXT", "Choose among networks: list, show, use, add, remove.", USE),
        "completion": _entry("completion", "completion", "Print a shell's completion script.", USE),
        "credential": _entry("credential", "credential", "Answer git as its credential helper.", None),
        "doctor": _entry("doctor", "doctor", "Look for what is wrong here, and say what mends it.", "Check"),
        "verify": _entry("verify", "verify_", "Check a ref, all refs or a transaction by proof.", "Check"),
        "network": Entry(HERE, "NETWORK", "Whose word you believe, who votes, what operators decide.", "Check"),
        "chaos": _entry("chaos", "chaos", "Break a network of real processes, and count what was lost.", "Check"),
        "sim": Entry(
            HERE, "SIM", "Run whole networks from one seed, in memory: run, replay, shrink, show, soak.", "Check"
        ),
    },
)
click.version_option(VERSION, prog_name="guts", message="%(prog)s %(version)s")(ROOT)


def run(args: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    as_json = "--json" in split_at_separator(args)[0]
    try:
        # In this mode click returns the code of an early exit (--help, --version) instead of exiting.
        answer = ROOT.main(list(args), prog_name="guts", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return EXIT_CODES["usage"]
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 -- the end of the line: everything becomes an exit code
        failure = failure_of(error)
        if failure.code == "bug":
            traceback.print_exc()
        show_failure(failure, as_json)
        return failure.exit_code
    return answer if isinstance(answer, int) else EXIT_OK


def main() -> NoReturn:
    """Entry point of the ``guts`` script."""
    # httpx has a command line of its own, whose rich and pygments are a third of what importing it takes.
    # An import of this name fails now, which httpx is prepared for.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # documented in the reference of the import system
    sys.exit(run(sys.argv[1:]))
