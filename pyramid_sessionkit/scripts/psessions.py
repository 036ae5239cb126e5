"""``psessions production.ini list``: the sessions of an application, from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from configparser import Error as IniError
from configparser import InterpolationMissingOptionError
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaster.exceptions import PlasterError  # type: ignore[import-untyped]
from pyramid.exceptions import ConfigurationError
from pyramid.paster import bootstrap, setup_logging

from pyramid_sessionkit.exceptions import SessionError, StoreUnavailable
from pyramid_sessionkit.interfaces import FIRST
from pyramid_sessionkit.scripts import commands, import_command, seal_command
from pyramid_sessionkit.scripts.commands import EVERY, REFUSED, UNAVAILABLE, USAGE, Refused
from pyramid_sessionkit.user_sessions import get_sessions

if TYPE_CHECKING:
    from pyramid_sessionkit.scripts.output import Output

EPILOG = """\
examples:
  psessions production.ini list --user 42
  psessions production.ini show 3fQx
  psessions production.ini revoke 3fQx
  psessions production.ini revoke --user 42
  psessions production.ini revoke --all --yes
  psessions production.ini count --json
  psessions production.ini purge --dry-run
  psessions production.ini --session basket list
  psessions production.ini check
  psessions production.ini seal --dry-run
  psessions production.ini import --dry-run

A KEY is a session key, as `list` and the log show it. It names a session and does not open it. Upper and lower case
differ. It may be abbreviated as long as it is unique.

exit codes:
  0  done
  1  not found, refused, or a check failed
  2  wrong usage or bad settings
  3  the store is not available
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process, and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        from pyramid_sessionkit.scripts.output import Output
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        return _fail('psessions needs rich: pip install "pyramid_sessionkit[scripts]"', USAGE)
    out = Output(sys.stdout, args.json)
    # What the application prints as it starts is no part of the answer.
    with redirect_stdout(sys.stderr):
        try:
            return _run(args, out)
        except IniError as error:
            return _fail(_ini_problem(error), USAGE)
        except (ConfigurationError, PlasterError) as error:
            return _fail(error, USAGE)
        except StoreUnavailable as error:
            return _fail(error, UNAVAILABLE)
        except (Refused, SessionError) as error:
            return _fail(error, REFUSED)


def _run(args: argparse.Namespace, out: Output) -> int:
    with _bootstrap(args.config_uri, dict(args.var)) as env:
        registry = env["registry"]
        sessions = get_sessions(registry, args.session)
        if getattr(sessions.store, "process_local", False) and args.run is not commands.check:
            print("Sessions are in the memory of the server's process, where psessions sees none", file=sys.stderr)
        try:
            run: Callable[..., int] = args.run
            return run(args, sessions, out, registry)
        finally:
            getattr(sessions.store, "close", lambda: None)()


def _bootstrap(config_uri: str, variables: dict[str, str]) -> Any:
    path = config_uri.partition("#")[0]
    if ":" not in path and not Path(path).is_file():
        raise ConfigurationError(f"There is no file {path}")
    try:
        setup_logging(config_uri, global_conf=variables)
        return bootstrap(config_uri, options=variables)
    except LookupError as error:
        if type(error) is not LookupError:  # not PasteDeploy's, which has no section of this name
            raise
        raise ConfigurationError(str(error)) from error


def _ini_problem(error: IniError) -> str:
    """What is wrong, without the text that is: it may be a secret."""
    if isinstance(error, InterpolationMissingOptionError):
        return f"{error.option} in the ini file needs a variable: give --var {error.reference}=VALUE"
    option, line = getattr(error, "option", None), getattr(error, "lineno", None)
    where = f" in {option}" if option else f" in line {line}" if line else ""
    return f"The ini file cannot be read: {type(error).__name__}{where}"


def _fail(error: object, code: int) -> int:
    print(" ".join(str(error).split()), file=sys.stderr)
    return code


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    return name, value


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= EVERY:
        raise argparse.ArgumentTypeError("must be a whole number above zero")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "psessions",
        description="List, show, revoke, count, purge, seal and import sessions of an application; check its setup.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config_uri", metavar="INI_FILE", help="the application's ini file, as for pserve")
    parser.add_argument(
        "--var",
        metavar="NAME=VALUE",
        type=_variable,
        action="append",
        default=[],
        help="a variable of the ini file, such as %%(NAME)s; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines, with times in epoch seconds")
    parser.add_argument(
        "--session", metavar="NAME", default=FIRST, help="a second session: the name that config.add_session was given"
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(run: Callable[..., int], name: str, about: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=about, description=about)
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for machines")
        sub.set_defaults(run=run)
        return sub

    sub = command(commands.list_, "list", "List the sessions that are alive, those used last first.")
    sub.add_argument("--user", metavar="U", help="only those of the user with this userid")
    sub.add_argument("--limit", metavar="N", type=_positive, default=100, help="no more than so many (100)")
    sub = command(commands.show, "show", "Show a session and its contents, which may be private.")
    sub.add_argument("key", metavar="KEY", help="its session key, or how that begins")
    sub = command(commands.revoke, "revoke", "End a session, those of a user, or all.")
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("key", metavar="KEY", nargs="?", help="its session key, or how that begins")
    which.add_argument("--user", metavar="U", help="all of the user with this userid")
    which.add_argument("--all", action="store_true", help="those of everybody")
    sub.add_argument("--yes", action="store_true", help="do not ask before --all")
    command(commands.count, "count", "Count the sessions that are alive, and those that wait to be purged.")
    sub = command(commands.purge, "purge", "Remove expired sessions from the store.")
    sub.add_argument("--dry-run", action="store_true", help="only say how many there are")
    sub.add_argument("--batch", metavar="N", type=_positive, default=1000, help="so many in one transaction (1000)")
    command(
        commands.create_table, "create-table", "Make the table of the sql and cached_sql stores where it is missing."
    )
    command(commands.check, "check", "Check settings, store, table, clock, secret, cookie and seals.")
    sub = command(seal_command.seal, "seal", "Seal the sessions that are not sealed with the first seal key.")
    sub.add_argument("--dry-run", action="store_true", help="only say how many there are")
    sub = command(
        import_command.import_,
        "import",
        "Store the sessions of the library that the site comes from (sessionkit.adopt).",
    )
    sub.add_argument("--dry-run", action="store_true", help="only say how many there are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
